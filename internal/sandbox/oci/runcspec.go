package oci

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vivarium/internal/sandbox"
)

const (
	// The user's processes meet a limit of their own, which the agent sets: the sandbox's users are of its own, so that no
	// other sandbox's count. The cgroup's limit is a little higher, so that a user who has reached his keeps neither the
	// agent from making a thread, without which it would end, nor the server from making a bridge to it.
	pidsForAgent = 128
	// Below this the agent's own threads could meet the limit that it sets for the user's.
	minRuncProcesses = 64
	// Files in a file system in memory, and terminals: the machine's own number of terminals is shared by all sandboxes.
	memoryFiles  = 65_536
	maxTerminals = 256
)

// Paths of the machine's kernel that the user can neither see nor write: Docker's, and /sys/devices/virtual/block, where loop
// devices tell the names of the files behind them, which are the ids of other workspaces.
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/block", "/sys/devices/virtual/powercap", "/sys/firmware",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// runcSpec is runc's configuration for a sandbox. What it returns for a spec is in testdata/runc.golden.json, but for the
// names in the seccomp profile.
func runcSpec(at layout, l sandbox.Limits) (*specs.Spec, error) {
	limits := resources(l, int64(l.Processes)+pidsForAgent)
	never := uint64(0)
	limits.Memory.Swappiness = &never
	limits.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}} // runc allows the harmless ones
	s := &specs.Spec{
		Version:  specs.Version,
		Hostname: "workspace",
		Root:     &specs.Root{Path: at.rootFS, Readonly: true},
		Process:  runcProcess(l),
		Mounts:   runcMounts(at, l),
		Linux: &specs.Linux{
			CgroupsPath: at.cgroup,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.UserNamespace, Path: at.userNS}, {Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace},
				{Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.MountNamespace}, {Type: specs.CgroupNamespace},
			},
			Resources:     limits,
			MaskedPaths:   maskedPaths,
			ReadonlyPaths: readonlyPaths,
		},
	}
	var err error
	s.Linux.Seccomp, err = systemCalls(s)
	return s, err
}

// setpriv is the image's program that runs another with changed rights.
const setpriv = "/usr/bin/setpriv"

// runcProcess is the agent with the same rights as under gVisor. runc cannot let a program inherit what is not in the bounding
// set, and the kernel lets nobody empty that without a right of its own; so a program of the image does it and becomes the
// agent, which has not inherited that right.
func runcProcess(l sandbox.Limits) *specs.Process {
	p := agentProcess(l)
	p.Args = append([]string{setpriv, "--bounding-set=-all", "--"}, p.Args...)
	all := append([]string{"CAP_SETPCAP"}, p.Capabilities.Inheritable...)
	p.Capabilities.Bounding, p.Capabilities.Effective, p.Capabilities.Permitted = all, all, all
	return p
}

// bridgeProcess is a bridge to the agent. It must be the agent's own user, and needs no rights.
func bridgeProcess() *specs.Process {
	p := agentProcess(sandbox.Limits{})
	p.Args, p.Capabilities = []string{agentPath, "connect"}, &specs.LinuxCapabilities{}
	return p
}

func runcMounts(at layout, l sandbox.Limits) []specs.Mount {
	memory := func(destination, mode string, bytes int64, more ...string) specs.Mount {
		return specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: append([]string{"nosuid", "noexec", "nodev",
			"mode=" + mode, fmt.Sprintf("size=%d", bytes), fmt.Sprintf("nr_inodes=%d", memoryFiles)}, more...)}
	}
	// The files' owners on the disk are those of the image; idmap makes them the sandbox's.
	own := func(destination, source string) specs.Mount {
		return specs.Mount{Destination: destination, Type: "bind", Source: source, Options: []string{"bind", "rw", "idmap", "nosuid", "nodev"}}
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance",
			"ptmxmode=0666", "mode=0620", "gid=5", fmt.Sprintf("max=%d", maxTerminals)}},
		// In memory, so they count against its limit. /tmp is on the disk and counts against that.
		memory("/dev/shm", "1777", l.MemoryBytes/4),
		memory("/run", "755", runBytes),
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro", "nosuid", "noexec", "nodev"}},
		own("/home/user", at.home),
	}
	for _, f := range diskFolders {
		mounts = append(mounts, own(f.destination, filepath.Join(at.disk, f.name)))
	}
	return append(mounts,
		specs.Mount{Destination: agentPath, Type: "bind", Source: at.agent, Options: []string{"bind", "ro", "nosuid", "nodev"}})
}

// families are the kinds of sockets that are of any use in a sandbox whose only interface is loopback.
var families = []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// systemCalls returns Docker's current default profile for a process without capabilities, which refuses io_uring among
// others, made narrower twice: only the machine's own architecture, because arguments of a 32-bit socketcall cannot be looked
// at; and only the families above, while Docker also lets through most of those that few machines ever use.
func systemCalls(s *specs.Spec) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.GetDefaultProfile(s)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	if len(profile.Architectures) == 0 || len(profile.Syscalls) == 0 || profile.DefaultAction != specs.ActErrno {
		return nil, errors.New("the seccomp profile has no rules for this machine")
	}
	profile.Architectures = profile.Architectures[:1]
	var rules []specs.LinuxSyscall
	for _, rule := range profile.Syscalls {
		var names []string
		for _, name := range rule.Names {
			if name != "socket" && name != "socketcall" {
				names = append(names, name)
			}
		}
		if rule.Names = names; len(names) > 0 {
			rules = append(rules, rule)
		}
	}
	for _, family := range families {
		rules = append(rules, specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: family, Op: specs.OpEqualTo}}})
	}
	profile.Syscalls = rules
	return profile, nil
}
