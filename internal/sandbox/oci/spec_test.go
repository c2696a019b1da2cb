package oci

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vivarium/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestS1_GVisorsConfigurationIsTheOneReviewed(t *testing.T) {
	t.Setenv("VIVARIUM_CANARY", "canary")
	golden(t, "testdata/gvisor.golden.json", gvisorSpec(
		layout{rootFS: "/rootfs", agent: "/agent", home: "/sandbox/home/user", cgroup: "/vivarium/installation/id"},
		sandbox.Limits{CPUs: 1.5, MemoryBytes: 1 << 30, Processes: 256, DiskBytes: 2 << 30, HomeBytes: 1 << 30}))
}

// golden compares a configuration with the one in a file.
func golden(t *testing.T, name string, spec *specs.Spec) {
	t.Helper()
	got, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the configuration has changed; if that is meant, run with -update and read the difference\n%s", got)
	}
	if bytes.Contains(got, []byte("canary")) {
		t.Error("the server's environment is in the configuration")
	}
}

func TestTheRuntimesArgumentsBoundTheDiskAndTheNetwork(t *testing.T) {
	g := gvisor{path: "/bin/runsc", root: "/state"}
	line := strings.Join(g.run(bundle{dir: "/b", id: "the-id"}, sandbox.Limits{DiskBytes: 1 << 20}), " ")
	for _, want := range []string{"--network=none", "--platform=systrap", "--overlay2=root:dir=/b/disk,size=1048576", "run --detach", "--bundle=/b"} {
		if !strings.Contains(line, want) {
			t.Errorf("want %q in %q", want, line)
		}
	}
	if !strings.HasSuffix(line, " the-id") {
		t.Errorf("want the id at the end of %q", line)
	}
}

func TestTheVersionIsReadFromTheRuntimesAnswer(t *testing.T) {
	if got, err := (gvisor{}).parseVersion("runsc version release-1\nspec: 1.2.1\n"); err != nil || got != "runsc release-1" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := (gvisor{}).parseVersion("runc version 1.1.5\n"); err == nil {
		t.Errorf("want another runtime refused, got %q", got)
	}
}

func TestS1_RuncsConfigurationIsTheOneReviewed(t *testing.T) {
	t.Setenv("VIVARIUM_CANARY", "canary")
	s, err := runcSpec(layout{rootFS: "/rootfs", agent: "/agent", home: "/sandbox/home/user", cgroup: "/vivarium/installation/id",
		disk: "/sandbox/disk", userNS: "/proc/1/ns/user"},
		sandbox.Limits{CPUs: 1.5, MemoryBytes: 1 << 30, Processes: 256, DiskBytes: 2 << 30, HomeBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	s.Linux.Seccomp = nil // it depends on the machine, and has a test of its own
	golden(t, "testdata/runc.golden.json", s)
}

func TestS1_TheSystemCallsOfRuncAreDockersAndFewer(t *testing.T) {
	s, err := runcSpec(layout{}, sandbox.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	profile := s.Linux.Seccomp
	if profile.DefaultAction != specs.ActErrno || len(profile.Architectures) != 1 || len(profile.Flags) != 0 || profile.ListenerPath != "" {
		t.Errorf("want everything else refused and one architecture, got %q, %v, %v", profile.DefaultAction, profile.Architectures, profile.Flags)
	}
	allowed := map[string]int{}
	families := map[uint64]bool{}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			switch {
			case rule.Action == specs.ActErrno && name == "clone3":
			case rule.Action != specs.ActAllow:
				t.Errorf("want rules that allow, got %+v", rule)
			case name == "socket":
				if len(rule.Args) != 1 || rule.Args[0].Index != 0 || rule.Args[0].Op != specs.OpEqualTo {
					t.Errorf("want sockets allowed by their family, got %+v", rule)
				}
				families[rule.Args[0].Value] = true
			default:
				allowed[name]++
			}
		}
	}
	for _, name := range []string{"socketcall", "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open",
		"userfaultfd", "keyctl", "add_key", "request_key", "mount", "umount2", "unshare", "setns", "clone3", "open_by_handle_at", "fsopen",
		"move_mount", "pivot_root", "init_module", "finit_module", "kexec_load", "reboot", "swapon", "chroot", "syslog", "quotactl",
		"process_madvise", "kcmp"} {
		if allowed[name] > 0 {
			t.Errorf("%s is allowed", name)
		}
	}
	for _, name := range []string{"read", "openat", "execve", "clone", "futex", "ptrace", "inotify_init1", "epoll_wait", "memfd_create"} {
		if allowed[name] == 0 {
			t.Errorf("%s is refused", name)
		}
	}
	want := map[uint64]bool{unix.AF_UNIX: true, unix.AF_INET: true, unix.AF_INET6: true, unix.AF_NETLINK: true}
	if !maps.Equal(families, want) {
		t.Errorf("want sockets of the families %v, got %v", want, families)
	}
}

func TestS1_VulnerableVersionsOfRuncAreRefused(t *testing.T) {
	for version, good := range map[string]bool{
		"1.3.6": true, "1.3.10": true, "1.4.3": true, "1.5.0": true, "1.5.2": true, "2.0.0": true,
		"1.1.5+ds1": false, "1.2.8": false, "1.3.5": false, "1.4.0": false, "1.4.2": false, "1.5.0-rc.3": false, "1.6.0-rc.1": false,
		"0.9.9": false, "": false, "1": false, "x": false,
	} {
		got, err := runc{}.parseVersion("runc version " + version + "\nspec: 1.3.0\ngo: go1.26.8\nlibseccomp: 2.5.4\n")
		if (err == nil) != good || good && got != "runc "+version {
			t.Errorf("%s: got %q, %v", version, got, err)
		}
	}
	for what, out := range map[string]string{"no seccomp": "runc version 1.5.2\nspec: 1.3.0\n",
		"another program": "runsc version 1.5.2\nlibseccomp: 2.5.4\n", "nothing": ""} {
		if got, err := (runc{}).parseVersion(out); err == nil {
			t.Errorf("%s: want a refusal, got %q", what, got)
		}
	}
}
