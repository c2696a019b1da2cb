package oci_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/internal/sandbox/sandboxtest"
)

// limits are what the tests' sandboxes get unless they say otherwise.
var limits = sandbox.Limits{CPUs: 1, MemoryBytes: 1 << 30, Processes: 128, DiskBytes: 256 << 20, HomeBytes: 64 << 20}

// config returns the driver's configuration on this machine, with folders and an installation of the test's own. Without
// what real sandboxes need the test fails: a test that is skipped for a missing tool proves nothing.
func config(t testing.TB) oci.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("real sandboxes take long")
	}
	build := filepath.Join("..", "..", "..", ".build")
	at := func(variable, name string) string {
		if path := os.Getenv(variable); path != "" {
			return path
		}
		return filepath.Join(build, name)
	}
	cfg := oci.Config{
		Dir:          t.TempDir(),
		Installation: "test-" + uuid.NewString(),
		Runsc:        at("VIVARIUM_RUNSC", "bin/runsc"),
		Runc:         at("VIVARIUM_RUNC", "bin/runc"),
		RootFS:       at("VIVARIUM_ROOTFS", "rootfs"),
		Agent:        at("VIVARIUM_AGENT", "bin/vivarium-agent"),
		Log:          slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	for _, f := range oci.Check(t.Context(), cfg) {
		if !f.OK && f.Name != "file watches" { // the machine's default is low, and enough for a test
			t.Fatalf("this machine cannot run the test: %s: %s. %s", f.Name, f.Detail, f.Remedy)
		}
	}
	t.Cleanup(func() { removeParents(cfg.Installation) })
	return cfg
}

var quiet = slog.New(slog.DiscardHandler)

// testLog is a log in the test's output.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// removeParents removes the folders of an installation that is no more.
func removeParents(installation string) {
	for _, dir := range append(cgroupDirs(installation), "/run/vivarium/"+installation) {
		_ = os.Remove(dir) // one that is not empty is reported by the test that made it so
	}
}

func cgroupDirs(installation string) []string {
	var out []string
	for _, pattern := range []string{"/sys/fs/cgroup/vivarium/", "/sys/fs/cgroup/*/vivarium/"} {
		found, err := filepath.Glob(pattern + installation)
		if err == nil {
			out = append(out, found...)
		}
	}
	return out
}

func open(t testing.TB, cfg oci.Config) *oci.Driver {
	t.Helper()
	d, err := oci.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func harness(t *testing.T, isolation sandbox.Isolation) sandboxtest.Harness {
	cfg := config(t)
	return sandboxtest.Harness{
		Isolation: isolation,
		Driver:    open(t, cfg),
		Reopen:    func(t testing.TB) sandbox.Driver { return open(t, cfg) },
		Other: func(t testing.TB) sandbox.Driver {
			other := cfg
			other.Dir, other.Installation = t.TempDir(), cfg.Installation+"x"
			t.Cleanup(func() { removeParents(other.Installation) })
			return open(t, other)
		},
		Limits:  limits,
		Connect: sandboxtest.Connect,
		Kill:    func(t testing.TB, id string) { killSandbox(t, cfg.Installation, id) },
		Held:    func(t testing.TB) map[string]int { return held(t, cfg) },
	}
}

// processes returns the machine's processes in cgroups whose path holds the text.
func processes(text string) []int {
	names, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil
	}
	var out []int
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(data, []byte(text)) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

var pidOne = regexp.MustCompile(`(?m)^NSpid:.*\t1$`)

// killSandbox kills the process that a sandbox lives with, gVisor's kernel or PID 1, and nothing else of it.
func killSandbox(t testing.TB, installation, id string) {
	t.Helper()
	for _, pid := range processes("/vivarium/" + installation + "/" + id) {
		proc := "/proc/" + strconv.Itoa(pid)
		cmdline, err := os.ReadFile(proc + "/cmdline")
		if err != nil {
			continue
		}
		status, err := os.ReadFile(proc + "/status")
		agent := err == nil && bytes.HasPrefix(cmdline, []byte(agentProgram+"\x00serve")) && pidOne.Match(status)
		if agent || bytes.HasPrefix(cmdline, []byte("runsc-sandbox")) {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("sandbox %s has no process", id)
}

// held counts what the installation's sandboxes hold of the machine.
func held(t testing.TB, cfg oci.Config) map[string]int {
	t.Helper()
	out := map[string]int{"processes": len(processes("/vivarium/" + cfg.Installation)), "mounts": 0, "loop devices": 0, "cgroups": 0, "files": 0}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	out["mounts"] = bytes.Count(mounts, []byte(cfg.Dir)) + bytes.Count(mounts, []byte("/vivarium/"+cfg.Installation))
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range loops {
		if backing, err := os.ReadFile(name); err == nil && bytes.Contains(backing, []byte(cfg.Dir)) {
			out["loop devices"]++
		}
	}
	for _, dir := range cgroupDirs(cfg.Installation) {
		out["cgroups"] += countDirs(dir) - 1
	}
	for _, dir := range []string{"sandboxes", "runsc", "runc", "users"} {
		out["files"] += countDirs(filepath.Join(cfg.Dir, dir))
	}
	out["files"] += countDirs("/run/vivarium/" + cfg.Installation)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	out["descriptors"] = len(fds)
	sockets, err := filepath.Glob("/run/runsc-????????-????-????-????-????????????.sock") // others' ids have other shapes
	if err != nil {
		t.Fatal(err)
	}
	out["sockets"] = len(sockets)
	return out
}

// countDirs counts everything in a folder, itself included.
func countDirs(dir string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && (e.IsDir() || !strings.HasPrefix(name, "/sys/")) {
			n++
		}
		return nil
	})
	return n
}

// within waits until the condition holds.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("want %s within %v", what, limit)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// forEach runs a test for each isolation.
func forEach(t *testing.T, test func(t *testing.T, isolation sandbox.Isolation)) {
	for _, isolation := range isolations {
		t.Run(string(isolation), func(t *testing.T) { test(t, isolation) })
	}
}

// made makes a sandbox for the test and returns its agent.
func made(t *testing.T, d *oci.Driver, isolation sandbox.Isolation, l sandbox.Limits) (sandbox.Spec, *sandboxtest.RealAgent) {
	t.Helper()
	spec := sandboxtest.Harness{Isolation: isolation, Limits: l}.Spec()
	if err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(d.Remove(ctx, spec.ID), d.RemoveHome(ctx, spec.Workspace)); err != nil {
			t.Error(err)
		}
	})
	return spec, dial(t, d, spec.ID)
}

func dial(t *testing.T, d *oci.Driver, id string) *sandboxtest.RealAgent {
	t.Helper()
	stream, err := d.Dial(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := sandboxtest.ConnectReal(stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() }) // its sandbox may be gone
	return agent
}
