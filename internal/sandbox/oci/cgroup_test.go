package oci

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// tree makes files below a new folder and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var trees = map[string]map[string]string{
	"version 1": {
		"memory/cgroup.procs": "1\n", "cpu/cgroup.procs": "1\n", "pids/cgroup.procs": "1\n",
		"memory/vivarium/i/s/cgroup.procs":              "12\n13\n",
		"memory/vivarium/i/s/memory.usage_in_bytes":     "1000\n",
		"memory/vivarium/i/s/memory.stat":               "inactive_file 1\ntotal_inactive_file 300\n",
		"memory/vivarium/i/s/memory.max_usage_in_bytes": "2000\n",
		"memory/vivarium/i/s/memory.oom_control":        "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		"cpu/vivarium/i/s/cgroup.procs":                 "12\n13\n",
		"cpuacct/vivarium/i/s/cpuacct.usage":            "5000000\n",
	},
	"version 2": {
		"cgroup.controllers":              "cpuset cpu io memory pids\n",
		"vivarium/i/s/cgroup.procs":       "12\n",
		"vivarium/i/s/below/cgroup.procs": "13\n",
		"vivarium/i/s/memory.current":     "1000\n",
		"vivarium/i/s/memory.stat":        "anon 5\ninactive_file 300\n",
		"vivarium/i/s/memory.peak":        "2000\n",
		"vivarium/i/s/memory.events":      "low 0\noom 4\noom_kill 3\noom_group_kill 0\n",
		"vivarium/i/s/cpu.stat":           "usage_usec 5000\nuser_usec 1\n",
	},
}

func TestBothVersionsOfCgroupsAreRead(t *testing.T) {
	want := sandbox.Usage{CPU: 5 * time.Millisecond, MemoryBytes: 700, PeakBytes: 2000, MemoryKills: 3}
	for name, files := range trees {
		c := findCgroups(tree(t, files))
		if c.v2 != (name == "version 2") {
			t.Errorf("%s: taken for %s", name, c)
		}
		path := c.pathOf("i", "s")
		if got := c.usage(path); got != want {
			t.Errorf("%s: want %+v, got %+v", name, want, got)
		}
		got := c.processes(path)
		slices.Sort(got)
		if !slices.Equal(got, []int{12, 13}) {
			t.Errorf("%s: want processes 12 and 13, got %v", name, got)
		}
		if err := c.allows(sandbox.Limits{}); err != nil {
			t.Errorf("%s: want limits that hold, got %v", name, err)
		}
		if got := c.usage(c.pathOf("i", "other")); got != (sandbox.Usage{}) {
			t.Errorf("%s: want nothing of an unknown sandbox, got %+v", name, got)
		}
	}
}

func TestLimitsThatTheMachineCannotHoldAreRefused(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"version 1 without pids":   {"memory/cgroup.procs": "", "cpu/cgroup.procs": ""},
		"version 2 without memory": {"cgroup.controllers": "cpu pids\n"},
		"no cgroups":               {},
	} {
		c := findCgroups(tree(t, files))
		if err := c.allows(sandbox.Limits{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: want a refusal, got %v", name, err)
		}
		if _, err := checkCgroups(c); err == nil {
			t.Errorf("%s: want a finding", name)
		}
	}
}

func TestAnEmptyCgroupIsRemovedFromAllTrees(t *testing.T) {
	for name, dirs := range map[string][]string{
		"version 1": {"memory/vivarium/i/s", "cpu/vivarium/i/s/below", "pids/vivarium/i/s", "memory/vivarium/i/other"},
		"version 2": {"vivarium/i/s/below", "vivarium/i/other"},
	} {
		root := t.TempDir()
		if name == "version 2" {
			if err := os.WriteFile(filepath.Join(root, "cgroup.controllers"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, dir := range dirs {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		c := findCgroups(root)
		for range 2 {
			if err := c.remove(t.Context(), c.pathOf("i", "s")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left := c.dirs(c.pathOf("i", "s")); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
		if got := c.dirs(c.pathOf("i", "other")); len(got) != 1 {
			t.Errorf("%s: want the other sandbox's cgroup untouched, got %v", name, got)
		}
	}
}

func TestKillingSparesAProcessThatIsNotInTheCgroup(t *testing.T) {
	// A stale list names this very process, whose own cgroup is another.
	root := tree(t, map[string]string{"cgroup.controllers": "", "vivarium/i/s/cgroup.procs": itoa(os.Getpid())})
	c := findCgroups(root)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := c.kill(ctx, c.pathOf("i", "s")); err == nil {
		t.Error("want an error for a process that does not end")
	}
}
