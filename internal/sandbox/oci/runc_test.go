package oci_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/internal/sandbox/sandboxtest"
)

const agentProgram = "/usr/local/bin/vivarium-agent"

// outside returns a field of /proc/PID/status, as the machine sees it, of the sandbox's process with the command line.
func outside(t *testing.T, installation, id, command, field string) string {
	t.Helper()
	for _, pid := range processes("/vivarium/" + installation + "/" + id) {
		proc := filepath.Join("/proc", strconv.Itoa(pid))
		cmdline, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil || !strings.HasPrefix(strings.ReplaceAll(string(cmdline), "\x00", " "), command) {
			continue
		}
		status, err := os.ReadFile(filepath.Join(proc, "status"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if value, ok := strings.CutPrefix(line, field+":"); ok {
				return strings.TrimSpace(value)
			}
		}
	}
	t.Fatalf("sandbox %s has no process %q", id, command)
	return ""
}

func TestS1_RuncsUsersAreNobodyOutsideAndNotTheirNeighboursEither(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	seen := map[int64]bool{}
	for range 2 {
		spec, agent := made(t, d, sandbox.Runc, limits)
		answers(t, agent, 10*time.Second)
		root := atoi(t, strings.Fields(outside(t, cfg.Installation, spec.ID, agentProgram+" serve", "Uid"))[0])
		user := atoi(t, strings.Fields(outside(t, cfg.Installation, spec.ID, "vivarium-agent files", "Uid"))[0])
		if root < 0x70000000 || root%65536 != 0 || user != root+1000 {
			t.Errorf("want the agent to be the first of a range that is nobody's and its user the 1000th, got %d and %d", root, user)
		}
		if seen[root] {
			t.Errorf("want users of its own for each sandbox, both have %d", root)
		}
		seen[root] = true
		if got := must(t, agent, "stat -c %U /etc/passwd /workspace /home/user/.bashrc"); got != "root\nuser\nuser\n" {
			t.Errorf("want the files' owners as in the image, got %q", got)
		}
	}
}

func TestS1_TheAgentHasNoMoreRightsUnderRuncThanItNeeds(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	spec, agent := made(t, d, sandbox.Runc, limits)
	answers(t, agent, 10*time.Second)
	const setuidSetgidKill = "00000000000000e0"
	const none = "0000000000000000"
	answers(t, dial(t, d, spec.ID), 10*time.Second) // through a bridge
	for command, rights := range map[string]string{"serve": setuidSetgidKill, "connect": none} {
		for field, want := range map[string]string{"CapEff": rights, "CapPrm": rights, "CapBnd": none, "NoNewPrivs": "1", "Seccomp": "2"} {
			if got := outside(t, cfg.Installation, spec.ID, agentProgram+" "+command, field); got != want {
				t.Errorf("%s: want %s %s, got %s", command, field, want, got)
			}
		}
	}
}

func TestS1_RuncRefusesTheSystemCallsOf32BitPrograms(t *testing.T) {
	_, agent := made(t, open(t, config(t)), sandbox.Runc, limits)
	// socketcall(SYS_SOCKET, {AF_VSOCK, SOCK_STREAM, 0}) by interrupt 0x80: a filter cannot look at its arguments. They are
	// below 4 GiB, where such a call expects them.
	out, code, err := shell(t, agent, 10*time.Second, `cat >/tmp/call.py <<'END'
import ctypes, mmap, struct
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
page = libc.mmap(None, 4096, 7, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, -1, 0)
ctypes.memmove(page + 2048, struct.pack("<3I", 40, 1, 0), 12)
code = b"\xb8\x66\0\0\0" + b"\xbb\x01\0\0\0" + b"\xb9" + struct.pack("<I", page + 2048) + b"\x53\xcd\x80\x5b\xc3"
ctypes.memmove(page, code.replace(b"\xbb", b"\x53\xbb", 1).replace(b"\x53\xcd", b"\xcd"), 64)
print("made a socket", ctypes.CFUNCTYPE(ctypes.c_int)(page)())
END
python3 /tmp/call.py; echo "ended with $?"`)
	if err != nil || code != 0 || strings.Contains(out, "made a socket") || !strings.Contains(out, "ended with 159") { // 128 + SIGSYS
		t.Errorf("want the program ended by SIGSYS, got code %d, %v, %q", code, err, out)
	}
}

func TestS1_WhatTheKernelOfRuncCountsPerUserIsLimitedPerSandbox(t *testing.T) {
	d := open(t, config(t))
	_, agent := made(t, d, sandbox.Runc, limits)
	_, neighbour := made(t, d, sandbox.Runc, limits)
	if got := must(t, agent, "cat /proc/sys/user/max_user_namespaces"); strings.TrimSpace(got) != "0" {
		t.Errorf("want no user namespaces below the sandbox's, got %q", got)
	}
	out := must(t, agent, `python3 -c '
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 0
while libc.inotify_init() >= 0: n += 1
print(n, os.strerror(ctypes.get_errno()))
terminals = []
try:
    while len(terminals) < 2000: terminals.append(os.openpty())
except OSError as e:
    print(len(terminals), e.strerror)
'`)
	lines := strings.Split(out, "\n")
	if n, _, _ := strings.Cut(lines[0], " "); atoi(t, n) > 128 || !strings.HasSuffix(lines[0], "Too many open files") {
		t.Errorf("want at most 128 instances of inotify, got %q", lines[0])
	}
	if n, _, _ := strings.Cut(lines[1], " "); len(lines) < 3 || atoi(t, n) > 256 {
		t.Errorf("want at most 256 terminals, got %q", out)
	}
	must(t, neighbour, `python3 -c 'import os; os.openpty()'`)
}

func TestS8_RuncShowsNothingOfTheMachinesDisks(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	spec, _ := made(t, d, sandbox.Runc, limits)
	_, agent := made(t, d, sandbox.Runc, limits)
	out := must(t, agent, `cat /proc/self/mountinfo /proc/partitions /proc/self/cgroup
		ls -R /sys/devices/virtual/block; cat /sys/block/*/loop/backing_file /sys/class/block/*/loop/backing_file 2>/dev/null
		find /sys -name backing_file -exec cat {} + 2>/dev/null; true`)
	for what, word := range map[string]string{"its neighbour's workspace": spec.Workspace, "its neighbour": spec.ID,
		"the server's folder": cfg.Dir, "the installation": cfg.Installation} {
		if strings.Contains(out, word) {
			t.Errorf("a sandbox can see the name of %s:\n%s", what, out)
		}
	}
}

func TestRuncCountsTheUsersProcesses(t *testing.T) {
	d := open(t, config(t))
	spec, agent := made(t, d, sandbox.Runc, limits)
	answers(t, agent, 10*time.Second)
	before, err := d.Usage(t.Context(), spec.ID)
	if err != nil || before.Processes < 1 || before.Processes > 40 {
		t.Fatalf("want the file worker's threads, got %+v, %v", before, err)
	}
	must(t, agent, "for i in $(seq 20); do setsid sleep 600 & done; until [ $(pgrep -xc sleep) = 20 ]; do :; done") // of no terminal now
	after, err := d.Usage(t.Context(), spec.ID)
	// Threads of the file worker come and go.
	if err != nil || after.Processes < before.Processes+15 || after.Processes > before.Processes+25 {
		t.Errorf("want 20 more than %d, got %+v, %v", before.Processes, after, err)
	}
}

func TestRuncRefusesLimitsThatTheAgentItselfWouldMeet(t *testing.T) {
	d := open(t, config(t))
	spec := sandboxtest.Harness{Isolation: sandbox.Runc, Limits: limits}.Spec()
	spec.Limits.Processes = 32
	if err := d.Create(t.Context(), spec); !fault.Is(err, fault.Invalid) {
		t.Errorf("want a refusal, got %v", err)
	}
}

// program writes a script that answers for a runtime.
func program(t *testing.T, answer string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("#!/bin/sh\nprintf '"+answer+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestS1_AnIsolationThatIsNotFitIsRefusedAndNeverReplaced(t *testing.T) {
	good := config(t)
	for name, c := range map[string]struct {
		spoil   func(*oci.Config)
		offered sandbox.Isolation
		finding string
	}{
		"no runc":        {func(c *oci.Config) { c.Runc = "" }, sandbox.GVisor, ""},
		"Debian's runc":  {func(c *oci.Config) { c.Runc = program(t, `runc version 1.1.5+ds1\nlibseccomp: 2.5.4\n`) }, sandbox.GVisor, "runc"},
		"a missing runc": {func(c *oci.Config) { c.Runc = "/nowhere/runc" }, sandbox.GVisor, "runc"},
		"no gVisor":      {func(c *oci.Config) { c.Runsc = "" }, sandbox.Runc, ""},
		"runc as gVisor": {func(c *oci.Config) { c.Runsc = c.Runc }, sandbox.Runc, "gVisor"},
	} {
		cfg := good
		cfg.Log = quiet
		c.spoil(&cfg)
		d := open(t, cfg)
		if got := d.Capabilities().Isolations; !slices.Equal(got, []sandbox.Isolation{c.offered}) {
			t.Errorf("%s: want only %s offered, got %v", name, c.offered, got)
		}
		for _, isolation := range isolations {
			if isolation == c.offered {
				continue
			}
			spec := sandboxtest.Harness{Isolation: isolation, Limits: limits}.Spec()
			if err := d.Create(t.Context(), spec); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), string(isolation)) {
				t.Errorf("%s: want %s refused by its name, got %v", name, isolation, err)
			}
		}
		var bad []string
		for _, f := range oci.Check(t.Context(), cfg) {
			if !f.OK && f.Name != "file watches" {
				bad = append(bad, f.Name)
				if !strings.Contains(f.Remedy, "scripts/build-") {
					t.Errorf("%s: want a remedy, got %+v", name, f)
				}
			}
		}
		if strings.Join(bad, " ") != c.finding {
			t.Errorf("%s: want findings on %q, got %q", name, c.finding, bad)
		}
	}
	good.Runsc, good.Runc, good.Log = "/nowhere/runsc", "/nowhere/runc", quiet
	if _, err := oci.New(t.Context(), good); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "scripts/build-runsc.sh") {
		t.Errorf("want a server without any isolation refused, got %v", err)
	}
}

func TestAServerGoesOnWithSandboxesOfBothKindsAndRemovesThoseItCannotReach(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	boots := map[string]string{}
	var specs []sandbox.Spec
	for _, isolation := range isolations {
		spec, agent := made(t, d, isolation, limits)
		boot, err := agent.Boot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		boots[spec.ID] = boot
		specs = append(specs, spec)
	}
	next := open(t, cfg)
	all, err := next.List(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("want both sandboxes, got %v, %v", all, err)
	}
	for id, want := range boots {
		if got, err := dial(t, next, id).Boot(t.Context()); err != nil || got != want {
			t.Errorf("want the agent %q, got %q, %v", want, got, err)
		}
	}
	for i, without := range []func(*oci.Config){func(c *oci.Config) { c.Runsc = "" }, func(c *oci.Config) { c.Runc = "" }} {
		cfg := cfg
		without(&cfg)
		d := open(t, cfg)
		if !running(t, d, specs[i].ID) {
			t.Errorf("%s: want the sandbox known to a server that cannot make one", specs[i].Isolation)
		}
		if _, err := d.Dial(t.Context(), specs[i].ID); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s: want it out of reach, got %v", specs[i].Isolation, err)
		}
		if err := d.Remove(t.Context(), specs[i].ID); err != nil {
			t.Errorf("%s: %v", specs[i].Isolation, err)
		}
	}
	within(t, 10*time.Second, "nothing left of both", func() bool { // a bridge's own process ends a moment later
		now := held(t, cfg)
		return now["processes"]+now["mounts"]+now["loop devices"]+now["cgroups"] == 0
	})
}
