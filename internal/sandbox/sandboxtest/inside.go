package sandboxtest

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "embed"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

func testHome(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	s.shell(s.dial(s.Driver, spec.ID), `set -e
		test "$HOME" = /home/user
		echo kept >~/note
		mkdir -p ~/.local/bin
		printf '#!/bin/sh\necho tool\n' >~/.local/bin/tool
		chmod +x ~/.local/bin/tool`)
	s.wantKind("RemoveHome while the sandbox exists", s.Driver.RemoveHome(t.Context(), spec.Workspace), fault.Conflict)

	next := s.Spec()
	next.Workspace = spec.Workspace
	s.discardSandbox(spec)
	s.create(next)
	got := s.shell(s.dial(s.Driver, next.ID), "cat ~/note; ~/.local/bin/tool")
	if got != "kept\ntool\n" {
		t.Errorf("want the home of the session before, got %q", got)
	}

	s.discardSandbox(next)
	if err := s.Driver.RemoveHome(t.Context(), spec.Workspace); err != nil {
		t.Fatalf("RemoveHome: %v", err)
	}
	last := s.Spec()
	last.Workspace = spec.Workspace
	s.create(last)
	s.shell(s.dial(s.Driver, last.ID), "test ! -e ~/note && test -w ~ && test -r ~/.bashrc")
}

func (s *suite) discardSandbox(spec sandbox.Spec) {
	s.Helper()
	if err := s.Driver.Remove(s.Context(), spec.ID); err != nil {
		s.Fatalf("Remove: %v", err)
	}
}

func testFreshFiles(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	s.shell(s.dial(s.Driver, spec.ID), "for d in /workspace /tmp /var/tmp /dev/shm; do echo x >$d/left-behind || exit 1; done")
	next := s.Spec()
	next.Workspace = spec.Workspace
	s.discardSandbox(spec)
	s.create(next)
	s.shell(s.dial(s.Driver, next.ID), "for d in /workspace /tmp /var/tmp /dev/shm; do test ! -e $d/left-behind || exit 1; done")
}

//go:embed posture.py
var posture string

// testPosture runs a probe in a sandbox. Each line that the probe prints is one thing that is not as it must be.
func testPosture(t *testing.T, s *suite) {
	t.Setenv("VIVARIUM_CANARY", "canary-in-the-server's-environment")
	spec := s.create(s.Spec())
	agent := s.dial(s.Driver, spec.ID)
	s.shell(agent, "cat >/tmp/posture.py <<'PROBE'\n"+posture+"\nPROBE")
	out := s.shell(agent, fmt.Sprintf("python3 /tmp/posture.py %s; echo done", spec.Isolation))
	findings, done := strings.CutSuffix(out, "done\n")
	if !done {
		t.Fatalf("the probe did not come to its end:\n%s", out)
	}
	for line := range strings.Lines(findings) {
		t.Errorf("posture: %s", strings.TrimSpace(line))
	}
}

// CyclesVariable names the variable of the environment that says how many lives the search for leaks goes through. Hundred
// find what ten do not, and take minutes.
const CyclesVariable = "VIVARIUM_TEST_CYCLES"

const defaultCycles = 10

func cycles(t *testing.T) int {
	text := os.Getenv(CyclesVariable)
	if text == "" {
		return defaultCycles
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 2 {
		t.Fatalf("%s must be a number from 2 on, it is %q", CyclesVariable, text)
	}
	return n
}

func testLeaks(t *testing.T, s *suite) {
	if s.Held == nil {
		t.Skip("this driver's sandboxes hold nothing of the machine")
	}
	if testing.Short() {
		t.Skip("many lives take long")
	}
	workspace := s.Spec().Workspace
	var before map[string]int
	driver := s.Driver
	for i := range cycles(t) {
		if i == 1 {
			before = s.Held(t) // the first life makes what is kept for good
		}
		spec := s.Spec()
		spec.Workspace = workspace
		if err := driver.Create(t.Context(), spec); err != nil {
			t.Fatalf("Create: %v", err)
		}
		t.Cleanup(func() { s.discard(spec) }) // when the test fails on the way
		switch i % 4 {
		case 1:
			s.boot(s.dial(driver, spec.ID))
		case 2:
			s.Kill(t, spec.ID)
		case 3:
			a, b := s.dial(driver, spec.ID), s.dial(driver, spec.ID)
			s.boot(a)
			s.boot(b)
			driver = s.Reopen(t)
		}
		if err := driver.Remove(t.Context(), spec.ID); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	s.wantHeld(before)
}

// wantHeld waits until sandboxes hold no more of the machine than before: the kernel frees some of it a moment later.
func (s *suite) wantHeld(want map[string]int) {
	s.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		got := s.Held(s)
		more := maps.Clone(got)
		maps.DeleteFunc(more, func(kind string, n int) bool { return n <= want[kind] })
		if len(more) == 0 {
			return
		}
		if time.Now().After(deadline) {
			s.Errorf("want no more than %v, got %v", want, got)
			return
		}
		time.Sleep(20 * time.Millisecond) // between two looks, not instead of one
	}
}
