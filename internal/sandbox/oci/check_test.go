package oci_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
)

func TestChecksSayWhatIsMissingAndWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "not-a-program"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old", ".vivarium-image"), []byte("layout 0\nabc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := oci.Config{Dir: dir, Installation: "test", Runsc: "/bin/true", RootFS: filepath.Join(dir, "old"), Agent: filepath.Join(dir, "not-a-program"), Log: quiet}
	bad := map[string]bool{}
	for _, f := range oci.Check(t.Context(), cfg) {
		if f.OK {
			continue
		}
		bad[f.Name] = true
		if f.Detail == "" || !strings.HasSuffix(f.Remedy, ".") {
			t.Errorf("%s: want what was found and a sentence that mends it, got %q and %q", f.Name, f.Detail, f.Remedy)
		}
	}
	for _, want := range []string{"gVisor", "root file system", "agent"} {
		if !bad[want] {
			t.Errorf("want a finding on %q, got %v", want, bad)
		}
	}
	if _, err := oci.New(t.Context(), cfg); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "scripts/build-") {
		t.Errorf("want a refusal that says what to do, got %v", err)
	}
	cfg.Installation = "../x"
	if _, err := oci.New(t.Context(), cfg); !fault.Is(err, fault.Invalid) {
		t.Errorf("want an odd installation refused, got %v", err)
	}
}

func TestAnAgentThatDoesNotRunIsAnErrorAndLeavesNothing(t *testing.T) { forEach(t, testBrokenAgent) }

func testBrokenAgent(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	cfg.Agent = filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(cfg.Agent, []byte("not a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := open(t, cfg)
	before := held(t, cfg)
	spec := sandbox.Spec{ID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8", Workspace: "6ba7b811-9dad-11d1-80b4-00c04fd430c8", Isolation: isolation, Limits: limits}
	err := d.Create(t.Context(), spec)
	t.Cleanup(func() {
		_ = errors.Join(d.Remove(context.Background(), spec.ID), d.RemoveHome(context.Background(), spec.Workspace))
	}) // should it succeed
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want unavailable, got %v", err)
	}
	if message := err.(*fault.Error).Message; strings.Contains(message, "/tmp/") || strings.Contains(message, cfg.Dir) {
		t.Errorf("want a message without host paths, got %q", message)
	}
	within(t, 10*time.Second, "as much held as before", func() bool { // a process that was killed is seen until its parent has taken notice
		return maps.Equal(held(t, cfg), before)
	})
}
