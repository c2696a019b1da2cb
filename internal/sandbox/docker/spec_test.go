//go:build docker

package docker

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vivarium/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

var reviewed = sandbox.Limits{CPUs: 1.5, MemoryBytes: 1 << 30, Processes: 256, DiskBytes: 2 << 30, HomeBytes: 1 << 30}

func TestS1_WhatTheDaemonIsAskedForIsWhatWasReviewed(t *testing.T) {
	t.Setenv("VIVARIUM_CANARY", "canary")
	for _, isolation := range []sandbox.Isolation{sandbox.GVisor, sandbox.Runc} {
		o := containerSpec(Config{Installation: "installation", Image: "image"},
			sandbox.Spec{ID: "id", Workspace: "workspace", Isolation: isolation, Limits: reviewed},
			mount.Mount{Type: mount.TypeVolume, Source: volumeName("workspace"), Target: homePath}, "{}")
		got, err := json.MarshalIndent(map[string]any{"Name": o.Name, "Config": o.Config, "HostConfig": o.HostConfig}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		golden := filepath.Join("testdata", string(isolation)+".golden.json")
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the request has changed; if that is meant, run with -update and read the difference\n%s", isolation, got)
		}
		if bytes.Contains(got, []byte("canary")) {
			t.Error("the server's environment is in the request")
		}
	}
}

var sizeOf = regexp.MustCompile(`size=(\d+)`)

func TestS4_TheUsersFileSystemsTogetherAreNoMoreThanTheDiskAndHalfOfTheMemory(t *testing.T) {
	for _, l := range []sandbox.Limits{
		{MemoryBytes: 1 << 30, DiskBytes: 2 << 30},
		{MemoryBytes: 1 << 30, DiskBytes: 256 << 20},
		{MemoryBytes: sandbox.MinMemoryBytes, DiskBytes: sandbox.MinDiskBytes},
		{MemoryBytes: 1<<30 + 12345, DiskBytes: 100_000_001},
	} {
		sum := int64(0)
		for path, options := range fileSystems(l) {
			n, err := strconv.ParseInt(sizeOf.FindStringSubmatch(options)[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(options, "nr_inodes=") || !strings.Contains(options, "nosuid,nodev") {
				t.Errorf("%s: want a bound on inodes and no devices, got %s", path, options)
			}
			if path == "/workspace" || path == "/tmp" || path == "/var/tmp" {
				sum += n
			}
		}
		if most := min(l.DiskBytes, l.MemoryBytes/2); sum > most || sum < most*9/10 {
			t.Errorf("%+v: want almost %d bytes, got %d", l, most, sum)
		}
	}
}

// allowedCalls are the system calls that the profile lets through without a condition on capabilities, by name.
func allowedCalls(t *testing.T) map[string][]*seccomp.Syscall {
	t.Helper()
	text, err := seccompProfile()
	if err != nil {
		t.Fatal(err)
	}
	var profile seccomp.Seccomp
	if err := json.Unmarshal([]byte(text), &profile); err != nil {
		t.Fatal(err)
	}
	for _, arch := range profile.ArchMap {
		if len(arch.SubArches) > 0 {
			t.Errorf("want one architecture, got %v beside %s", arch.SubArches, arch.Arch)
		}
	}
	if profile.DefaultAction != "SCMP_ACT_ERRNO" {
		t.Errorf("want what is not named refused, got %s", profile.DefaultAction)
	}
	out := map[string][]*seccomp.Syscall{}
	for _, s := range profile.Syscalls {
		if s.Action != "SCMP_ACT_ALLOW" || s.Includes != nil && len(s.Includes.Caps) > 0 {
			continue
		}
		for _, name := range s.Names {
			out[name] = append(out[name], s)
		}
	}
	return out
}

func TestS1_TheSystemCallsThatEscapesUsedAreRefused(t *testing.T) {
	calls := allowedCalls(t)
	for _, name := range []string{"io_uring_setup", "io_uring_enter", "bpf", "mount", "keyctl", "add_key", "userfaultfd", "perf_event_open", "setns", "unshare"} {
		if rules := calls[name]; len(rules) > 0 {
			t.Errorf("%s is allowed: %+v", name, rules)
		}
	}
	if len(calls["openat"]) == 0 || len(calls["clone"]) == 0 {
		t.Error("what every program needs is refused")
	}
	if len(calls["socketcall"]) > 0 {
		t.Error("socketcall is allowed, whose arguments nobody can look at")
	}
	var got []uint64
	for _, rule := range calls["socket"] {
		if len(rule.Args) != 1 || rule.Args[0].Index != 0 || rule.Args[0].Op != specs.OpEqualTo {
			t.Errorf("want sockets allowed by one family each, got %+v", rule.Args)
			continue
		}
		got = append(got, rule.Args[0].Value)
	}
	if !slices.Equal(got, families) {
		t.Errorf("want sockets of the families %v, got %v", families, got)
	}
}

func TestTheProcessLimitOfEachIsolationIsItsOwn(t *testing.T) {
	runc, gvisor := sandbox.Spec{Isolation: sandbox.Runc, Limits: reviewed}, sandbox.Spec{Isolation: sandbox.GVisor, Limits: reviewed}
	if slices.Contains(command(runc), "--processes") { // it would count the same user's processes in all sandboxes
		t.Error("the agent limits processes under runc")
	}
	if !slices.Contains(command(gvisor), "--processes") {
		t.Error("nobody limits the user's processes under gVisor")
	}
	for _, c := range []struct{ counted, want int }{{20, 20}, {300, 255}, {319, 255}, {320, 256}} {
		if got := processes(c.counted, int(pidsLimit(runc))); got != c.want {
			t.Errorf("of %d counted: want %d, got %d", c.counted, c.want, got)
		}
	}
}

// The daemon's archive endpoints (docker cp, export) open paths in a container as root, outside of it.
func TestNothingOfAContainersFilesIsEverOpenedThroughTheDaemon(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		looked++
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"CopyToContainer", "CopyFromContainer", "ContainerStatPath", "ContainerExport", "ContainerCommit", "/archive", "ContainerDiff"} {
			if bytes.Contains(source, []byte(word)) {
				t.Errorf("%s: %s", name, word)
			}
		}
	}
	if looked < 8 {
		t.Fatalf("want the package's sources, found %d", looked)
	}
}
