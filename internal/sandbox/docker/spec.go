package docker

import (
	"fmt"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"vivarium/internal/sandbox"
)

const (
	agentPath = "/usr/local/bin/vivarium-agent"
	homePath  = "/home/user"
	cpuPeriod = 100_000 // microseconds
	// Descriptors per process. More than 20,000 cannot be set on machines without CAP_SYS_RESOURCE.
	openFiles = 16_384
	// Under runc the cgroup counts the agent's threads too; these are for them and for a few bridges.
	pidsForAgent = 64
	// Under gVisor it counts the machine's processes for each of the sandbox's, and gVisor's own kernel, which would die of a
	// limit that the user can reach. There the agent's limit on its user's processes is what they meet.
	pidsPerProcess = 4
	pidsForRuntime = 512
	runBytes       = 16 << 20
	// Bytes of a file system in memory for one inode of it: a bound on what empty files cost.
	bytesPerInode = 8 << 10
	minInodes     = 1 << 10
)

// runtimes are the daemon's names for what isolates.
var runtimes = map[sandbox.Isolation]string{sandbox.GVisor: "runsc", sandbox.Runc: "runc"}

// maskedPaths are paths of the machine's kernel that a sandbox does not see: Docker's current ones, which an old daemon does
// not know all, and /sys/devices/virtual/block, whose loop devices name the files behind them.
var maskedPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
	"/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/block", "/sys/devices/virtual/powercap", "/sys/firmware",
}

// pidsLimit is the cgroup's limit for a sandbox.
func pidsLimit(s sandbox.Spec) int64 {
	if s.Isolation == sandbox.GVisor {
		return int64(s.Limits.Processes)*pidsPerProcess + pidsForRuntime
	}
	return int64(s.Limits.Processes) + pidsForAgent
}

// command is what a container runs. Docker cannot make the bounding set smaller than what the agent has, and its user's
// processes would inherit that set. So setpriv, which is lent SETPCAP for it, empties the set and becomes the agent, as
// PID 1. What root gets with its program is then what it may inherit, and only what is in the bounding set can be made
// inheritable: hence two steps, in this order.
func command(s sandbox.Spec) []string {
	const setpriv = "/usr/bin/setpriv"
	argv := []string{setpriv, "--inh-caps=-all,+setuid,+setgid,+kill", setpriv, "--bounding-set=-all", "--", agentPath, "serve"}
	if s.Isolation == sandbox.GVisor {
		argv = append(argv, "--processes", fmt.Sprint(s.Limits.Processes))
	}
	return argv
}

// containerSpec is what the daemon is asked for. It is a pure function: what it returns for a spec is in testdata.
func containerSpec(cfg Config, s sandbox.Spec, home mount.Mount, seccomp string) client.ContainerCreateOptions {
	no, pids, kill := false, pidsLimit(s), "SIGKILL"
	return client.ContainerCreateOptions{
		Name: containerName(s.ID),
		Config: &container.Config{
			Image:    cfg.Image,
			Hostname: "workspace",
			User:     "0:0",
			// All that the agent's children can inherit.
			Env: []string{
				"PATH=/home/user/.local/bin:/usr/local/bin:/usr/bin:/bin",
				"HOME=" + homePath,
				"USER=user",
				"LOGNAME=user",
				"SHELL=/bin/bash",
				"LANG=C.UTF-8",
			},
			Entrypoint: command(s),
			WorkingDir: "/",
			// The agent's frames are on its stdio. Its end of them closes when the server goes away.
			AttachStdin: true, AttachStdout: true, OpenStdin: true, StdinOnce: true,
			NetworkDisabled: true, // not even the hook that would set one up, which takes longer than all the rest
			StopSignal:      kill, // the agent hears no other, and a daemon that starts waits for what it stops
			Healthcheck:     &container.HealthConfig{Test: []string{"NONE"}},
			Labels: map[string]string{
				installationLabel: cfg.Installation,
				workspaceLabel:    s.Workspace,
				sandboxLabel:      s.ID,
				isolationLabel:    string(s.Isolation),
			},
		},
		HostConfig: &container.HostConfig{
			Runtime:        runtimes[s.Isolation],
			NetworkMode:    "none",
			IpcMode:        container.IPCModePrivate,
			ReadonlyRootfs: true,
			// With these three the agent runs each of its children as the user, and can end them, and its user can neither trace
			// nor kill it. SETPCAP is gone when it begins: see command.
			CapDrop:       []string{"ALL"},
			CapAdd:        []string{"CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_SETPCAP"},
			SecurityOpt:   []string{"no-new-privileges", "seccomp=" + seccomp},
			LogConfig:     container.LogConfig{Type: "none"}, // a log would be a disk without a bound
			RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
			Init:          &no,
			OomScoreAdj:   300, // when the machine itself runs out of memory, a sandbox goes before the server and the database
			ShmSize:       s.Limits.MemoryBytes / 4,
			Tmpfs:         fileSystems(s.Limits),
			Mounts:        []mount.Mount{home},
			MaskedPaths:   maskedPaths,
			Resources: container.Resources{
				Memory: s.Limits.MemoryBytes, MemorySwap: s.Limits.MemoryBytes, OomKillDisable: &no,
				CPUPeriod: cpuPeriod, CPUQuota: int64(s.Limits.CPUs * cpuPeriod),
				PidsLimit: &pids,
				Ulimits:   []*container.Ulimit{{Name: "nofile", Soft: openFiles, Hard: openFiles}, {Name: "core"}},
			},
		},
	}
}

// diskBytes is how much a sandbox can write outside its home. It is in memory: a disk that filled the memory limit would
// kill programs instead of refusing to write.
func diskBytes(l sandbox.Limits) int64 { return min(l.DiskBytes, l.MemoryBytes/2) }

// fileSystems are the places that can be written, by path, with their options. The three that are the user's share the disk.
func fileSystems(l sandbox.Limits) map[string]string {
	disk := diskBytes(l)
	options := func(bytes int64, more string) string {
		return fmt.Sprintf("rw,nosuid,nodev,size=%d,nr_inodes=%d,%s", bytes, max(bytes/bytesPerInode, minInodes), more)
	}
	return map[string]string{
		"/workspace": options(disk/8*5, "exec,mode=0755,uid=1000,gid=1000"),
		"/tmp":       options(disk/8*2, "exec,mode=1777"),
		"/var/tmp":   options(disk/8*1, "exec,mode=1777"),
		"/run":       options(runBytes, "noexec,mode=0755"),
		// Message queues are nobody's need here, and would be a place to write that nothing bounds.
		"/dev/mqueue": "ro,nosuid,nodev,noexec,size=4096,nr_inodes=2,mode=0555",
	}
}
