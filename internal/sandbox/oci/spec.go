package oci

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vivarium/internal/sandbox"
)

const (
	agentPath = "/usr/local/bin/vivarium-agent"
	cpuPeriod = 100_000 // microseconds
	// Descriptors per process. More than 20,000 cannot be set on machines without CAP_SYS_RESOURCE.
	openFiles = 16_384
	// The machine's processes for one of the sandbox's, and for gVisor itself. A pids limit that the sandbox's processes can
	// reach would kill gVisor's kernel; the agent's own limit is what they meet.
	pidsPerProcess = 4
	pidsForRuntime = 512
	runBytes       = 16 << 20
)

// agentProcess is the process that a sandbox begins with.
func agentProcess(l sandbox.Limits) *specs.Process {
	// With these three the agent runs each of its children as the user, and can end them, and its user can neither trace
	// nor kill it. The bounding set is empty, so that no child can have any; what root gets with its program is then what
	// it may inherit. That stays with the children, where it is worth nothing: no file says that it takes it, and none can.
	capabilities := []string{"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
	oomScore := 300 // when the machine itself runs out of memory, a sandbox goes before the server and the database
	return &specs.Process{
		Args: []string{agentPath, "serve", "--processes", fmt.Sprint(l.Processes)},
		// All that the agent's children can inherit. Nothing of the server's environment is ever passed on.
		Env: []string{
			"PATH=/home/user/.local/bin:/usr/local/bin:/usr/bin:/bin",
			"HOME=/home/user",
			"USER=user",
			"LOGNAME=user",
			"SHELL=/bin/bash",
			"LANG=C.UTF-8",
		},
		Cwd:             "/",
		NoNewPrivileges: true,
		Capabilities:    &specs.LinuxCapabilities{Inheritable: capabilities, Effective: capabilities, Permitted: capabilities},
		Rlimits: []specs.POSIXRlimit{
			{Type: "RLIMIT_NOFILE", Hard: openFiles, Soft: openFiles},
			{Type: "RLIMIT_CORE"},
		},
		OOMScoreAdj: &oomScore,
	}
}

// resources are the limits that cgroups hold a sandbox to, with that on the machine's processes.
func resources(l sandbox.Limits, pids int64) *specs.LinuxResources {
	quota, period := int64(l.CPUs*cpuPeriod), uint64(cpuPeriod)
	memory := l.MemoryBytes
	return &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Quota: &quota, Period: &period},
		Memory: &specs.LinuxMemory{Limit: &memory, Swap: &memory}, // both together: there is no swap
		Pids:   &specs.LinuxPids{Limit: &pids},
	}
}

// gvisorSpec is runsc's configuration for a sandbox. It is a pure function: what it returns for a spec is in
// testdata/gvisor.golden.json.
func gvisorSpec(at layout, l sandbox.Limits) *specs.Spec {
	return &specs.Spec{
		Version:  specs.Version,
		Hostname: "workspace",
		// Written to through an overlay only; the user may write in few places of it.
		Root:    &specs.Root{Path: at.rootFS},
		Process: agentProcess(l),
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts"},
			// In memory, so they count against its limit. /tmp is on the disk and counts against that.
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "mode=1777", fmt.Sprintf("size=%d", l.MemoryBytes/4)}},
			{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "mode=755", fmt.Sprintf("size=%d", runBytes)}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro", "nosuid", "noexec"}},
			{Destination: "/home/user", Type: "bind", Source: at.home, Options: []string{"bind", "rw", "nosuid"}},
			{Destination: agentPath, Type: "bind", Source: at.agent, Options: []string{"bind", "ro", "nosuid"}},
		},
		Linux: &specs.Linux{
			CgroupsPath: at.cgroup,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.MountNamespace},
			},
			Resources: resources(l, int64(l.Processes)*pidsPerProcess+pidsForRuntime),
		},
	}
}
