// Package sandboxtest holds what every sandbox driver must pass, and a fake driver for the tests of packages above
// drivers. It knows no agent and no runtime: the driver's own test brings both.
package sandboxtest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Harness is a driver under test and what the suite must be able to do behind its back.
type Harness struct {
	Driver sandbox.Driver
	// Reopen returns the driver of a server that starts after this one's was killed.
	Reopen func(t testing.TB) sandbox.Driver
	// Other returns the driver of another installation on the same machine.
	Other func(t testing.TB) sandbox.Driver
	// Isolation is that of the suite's sandboxes; gVisor when empty.
	Isolation sandbox.Isolation
	// Limits are what the sandboxes of the suite get.
	Limits sandbox.Limits
	// Connect returns the agent at the far end of a stream. It takes the stream over.
	Connect func(stream io.ReadWriteCloser) (Agent, error)
	// Kill ends a sandbox behind the driver's back.
	Kill func(t testing.TB, id string)
	// Held counts, by kind, what sandboxes hold of the machine. nil when they hold nothing.
	Held func(t testing.TB) map[string]int
}

// Agent is the little that the suite asks of a sandbox's agent.
type Agent interface {
	// Boot is a random id that differs between agents and stays for an agent's life.
	Boot(ctx context.Context) (string, error)
	// Shell runs a script with bash as the sandbox's user and returns what it printed, line ends as \n, and its exit code.
	// Agents of fakes return errors.ErrUnsupported.
	Shell(ctx context.Context, script string) (out string, code int, err error)
	Close() error
}

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// Run runs the suite. The function returns a new harness, which it cleans up at the end of the test.
func Run(t *testing.T, harness func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s *suite)
	}{
		{"a new sandbox is listed and its agent answers", testCreate},
		{"a spec that cannot be honoured is refused and leaves nothing", testRefusal},
		{"an id and a workspace are used by one sandbox at a time", testConflicts},
		{"an unknown sandbox is not found", testUnknown},
		{"all streams lead to the same agent", testStreams},
		{"the streams survive their neighbours' end", testStreamsAreIndependent},
		{"S6: a sandbox that dies is noticed within 10 s", testDeath},
		{"waiting ends with its context", testWaitContext},
		{"a stopped sandbox is dead and can be stopped again", testStop},
		{"a removed sandbox is gone and can be removed again", testRemove},
		{"a dead sandbox can be removed", testRemoveDead},
		{"calls at once on one sandbox leave nothing", testConcurrentCalls},
		{"a server that was killed is followed by one that goes on", testAdoption},
		{"other installations' sandboxes are invisible", testInstallations},
		{"usage grows with use", testUsage},
		{"a home outlives the session and goes with RemoveHome", testHome},
		{"the rest of a sandbox's files does not outlive it", testFreshFiles},
		{"S1: posture", testPosture},
		{"S6: nothing is left after many lives", testLeaks},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.test(t, &suite{T: t, Harness: harness(t)})
		})
	}
}

type suite struct {
	*testing.T
	Harness
}

// Spec returns a spec with new ids.
func (h Harness) Spec() sandbox.Spec {
	return sandbox.Spec{ID: uuid.NewString(), Workspace: uuid.NewString(), Isolation: cmp.Or(h.Isolation, sandbox.GVisor), Limits: h.Limits}
}

// create makes a sandbox that is removed at the end of the test.
func (s *suite) create(spec sandbox.Spec) sandbox.Spec {
	s.Helper()
	if err := s.Driver.Create(s.Context(), spec); err != nil {
		s.Fatalf("Create: %v", err)
	}
	s.Cleanup(func() { s.discard(spec) })
	return spec
}

func (s *suite) discard(spec sandbox.Spec) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Driver.Remove(ctx, spec.ID); err != nil {
		s.Errorf("Remove: %v", err)
	}
	if err := s.Driver.RemoveHome(ctx, spec.Workspace); err != nil {
		s.Errorf("RemoveHome: %v", err)
	}
}

// dial connects to the sandbox's agent with the driver.
func (s *suite) dial(d sandbox.Driver, id string) Agent {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	stream, err := d.Dial(ctx, id)
	if err != nil {
		s.Fatalf("Dial: %v", err)
	}
	agent, err := s.Connect(stream)
	if err != nil {
		s.Fatalf("Connect: %v", err)
	}
	s.Cleanup(func() { _ = agent.Close() }) // many have been closed by their sandbox's end
	return agent
}

// boot returns the id of the agent.
func (s *suite) boot(a Agent) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	id, err := a.Boot(ctx)
	if err != nil {
		s.Fatalf("the agent does not answer: %v", err)
	}
	if id == "" {
		s.Fatal("the agent has no id")
	}
	return id
}

// shell runs a script that must succeed. It skips the test where there is nothing inside a sandbox.
func (s *suite) shell(a Agent, script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 2*patience)
	defer cancel()
	out, code, err := a.Shell(ctx, script)
	if errors.Is(err, errors.ErrUnsupported) {
		s.Skip("this driver's sandboxes run no programs")
	}
	if err != nil {
		s.Fatalf("script: %v\n%s", err, out)
	}
	if code != 0 {
		s.Fatalf("script ended with %d:\n%s", code, out)
	}
	return out
}

// list returns the driver's sandboxes by id.
func (s *suite) list(d sandbox.Driver) map[string]sandbox.Instance {
	s.Helper()
	all, err := d.List(s.Context())
	if err != nil {
		s.Fatalf("List: %v", err)
	}
	out := map[string]sandbox.Instance{}
	for _, i := range all {
		out[i.ID] = i
	}
	return out
}

// wait waits for the sandbox's end.
func (s *suite) wait(d sandbox.Driver, id string, limit time.Duration) sandbox.Exit {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), limit)
	defer cancel()
	exit, err := d.Wait(ctx, id)
	if err != nil {
		s.Fatalf("Wait: want the sandbox's end within %v, got %v", limit, err)
	}
	return exit
}

func (s *suite) wantKind(what string, err error, want fault.Kind) {
	s.Helper()
	if !fault.Is(err, want) {
		s.Errorf("%s: want an error of kind %q, got %v", what, want, err)
	}
}

func testCreate(t *testing.T, s *suite) {
	before := time.Now().Add(-time.Second)
	spec := s.create(s.Spec())
	s.boot(s.dial(s.Driver, spec.ID))
	got, ok := s.list(s.Driver)[spec.ID]
	if !ok {
		t.Fatal("want the sandbox in the list, it is missing")
	}
	if got.Workspace != spec.Workspace || got.State != sandbox.Running {
		t.Errorf("want workspace %s and state running, got %+v", spec.Workspace, got)
	}
	if got.Created.Before(before) || got.Created.After(time.Now().Add(time.Second)) {
		t.Errorf("want the time of the start, got %v", got.Created)
	}
	if c := s.Driver.Capabilities(); !slices.Contains(c.Isolations, spec.Isolation) || c.Runtime == "" {
		t.Errorf("want capabilities that name the isolation %q and the runtime, got %+v", spec.Isolation, c)
	}
}

func testRefusal(t *testing.T, s *suite) {
	var held map[string]int
	if s.Held != nil {
		held = s.Held(t)
	}
	for name, spoil := range map[string]func(*sandbox.Spec){
		"no id":                  func(s *sandbox.Spec) { s.ID = "" },
		"a short id":             func(s *sandbox.Spec) { s.ID = "abc" },
		"an id that is a path":   func(s *sandbox.Spec) { s.ID = "../../../../../../../../../../etc/xyzzy" },
		"an id in capitals":      func(s *sandbox.Spec) { s.ID = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8" },
		"no workspace":           func(s *sandbox.Spec) { s.Workspace = "" },
		"no isolation":           func(s *sandbox.Spec) { s.Isolation = "" },
		"an unknown isolation":   func(s *sandbox.Spec) { s.Isolation = "none" },
		"no processors":          func(s *sandbox.Spec) { s.Limits.CPUs = 0 },
		"processors not numbers": func(s *sandbox.Spec) { s.Limits.CPUs = math.NaN() },
		"no memory":              func(s *sandbox.Spec) { s.Limits.MemoryBytes = 0 },
		"negative memory":        func(s *sandbox.Spec) { s.Limits.MemoryBytes = -1 },
		"no processes":           func(s *sandbox.Spec) { s.Limits.Processes = 0 },
		"no disk":                func(s *sandbox.Spec) { s.Limits.DiskBytes = 0 },
		"no home":                func(s *sandbox.Spec) { s.Limits.HomeBytes = 0 },
	} {
		spec := s.Spec()
		spoil(&spec)
		s.wantKind(name, s.Driver.Create(t.Context(), spec), fault.Invalid)
	}
	for _, isolation := range []sandbox.Isolation{sandbox.GVisor, sandbox.Runc} {
		if !slices.Contains(s.Driver.Capabilities().Isolations, isolation) {
			spec := s.Spec()
			spec.Isolation = isolation
			s.wantKind("an isolation that is not offered", s.Driver.Create(t.Context(), spec), fault.Invalid)
		}
	}
	if left := s.list(s.Driver); len(left) > 0 {
		t.Errorf("want no sandbox after refusals, got %v", left)
	}
	if s.Held != nil {
		s.wantHeld(held)
	}
}

func testConflicts(t *testing.T, s *suite) {
	first := s.create(s.Spec())
	agent := s.dial(s.Driver, first.ID)
	s.wantKind("the same sandbox again", s.Driver.Create(t.Context(), first), fault.Conflict)
	second := s.Spec()
	second.Workspace = first.Workspace
	s.wantKind("a second sandbox of the workspace", s.Driver.Create(t.Context(), second), fault.Conflict)
	if got := s.list(s.Driver); len(got) != 1 || got[first.ID].State != sandbox.Running {
		t.Errorf("want the first sandbox alone and running, got %v", got)
	}
	s.boot(agent)
}

func testUnknown(t *testing.T, s *suite) {
	id := uuid.NewString()
	_, err := s.Driver.Dial(t.Context(), id)
	s.wantKind("Dial", err, fault.NotFound)
	_, err = s.Driver.Wait(t.Context(), id)
	s.wantKind("Wait", err, fault.NotFound)
	_, err = s.Driver.Usage(t.Context(), id)
	s.wantKind("Usage", err, fault.NotFound)
	s.wantKind("Stop", s.Driver.Stop(t.Context(), id), fault.NotFound)
	if err := s.Driver.Remove(t.Context(), id); err != nil {
		t.Errorf("Remove: want success when nothing is left, got %v", err)
	}
	if err := s.Driver.RemoveHome(t.Context(), id); err != nil {
		t.Errorf("RemoveHome: want success when there is none, got %v", err)
	}
	for _, odd := range []string{"", "..", "a/b", "../" + id} {
		s.wantKind("Remove of an odd id", s.Driver.Remove(t.Context(), odd), fault.Invalid)
		s.wantKind("RemoveHome of an odd id", s.Driver.RemoveHome(t.Context(), odd), fault.Invalid)
	}
}

func testStreams(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	want := s.boot(s.dial(s.Driver, spec.ID))
	got := make([]string, 4)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			stream, err := s.Driver.Dial(ctx, spec.ID)
			if err != nil {
				t.Errorf("Dial: %v", err)
				return
			}
			agent, err := s.Connect(stream)
			if err != nil {
				t.Errorf("Connect: %v", err)
				return
			}
			defer agent.Close()
			if got[i], err = agent.Boot(ctx); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i, boot := range got {
		if boot != want {
			t.Errorf("stream %d: want the agent %q, got %q", i, want, boot)
		}
	}
}

func testStreamsAreIndependent(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	first := s.dial(s.Driver, spec.ID)
	boot := s.boot(first)
	second, third := s.dial(s.Driver, spec.ID), s.dial(s.Driver, spec.ID)
	s.boot(second)
	if err := first.Close(); err != nil {
		t.Errorf("closing the first stream: %v", err)
	}
	if got := s.boot(second); got != boot {
		t.Errorf("want the agent %q after the first stream's end, got %q", boot, got)
	}
	if err := second.Close(); err != nil {
		t.Errorf("closing the second stream: %v", err)
	}
	if got := s.boot(third); got != boot {
		t.Errorf("want the agent %q after the second stream's end, got %q", boot, got)
	}
}

func testDeath(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	s.boot(s.dial(s.Driver, spec.ID))
	exits := make(chan sandbox.Exit, 1)
	go func() {
		if exit, err := s.Driver.Wait(t.Context(), spec.ID); err == nil {
			exits <- exit
		}
	}()
	s.Kill(t, spec.ID)
	select {
	case exit := <-exits:
		if exit.OutOfMemory || exit.Detail == "" {
			t.Errorf("want an end that is explained and not by memory, got %+v", exit)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the sandbox died and nobody noticed within 10 s")
	}
	if got := s.list(s.Driver)[spec.ID]; got.State != sandbox.Dead {
		t.Errorf("want the sandbox listed as dead, got %+v", got)
	}
	if _, err := s.Driver.Dial(t.Context(), spec.ID); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Dial: want unavailable for a dead sandbox, got %v", err)
	}
}

func testWaitContext(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.Driver.Wait(ctx, spec.ID)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the context's error, got %v", err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("want the wait to end with its context, it took %v", took)
	}
}

func testStop(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	s.boot(s.dial(s.Driver, spec.ID))
	for range 2 {
		if err := s.Driver.Stop(t.Context(), spec.ID); err != nil {
			t.Fatalf("Stop: %v", err)
		}
	}
	if exit := s.wait(s.Driver, spec.ID, 10*time.Second); exit.OutOfMemory {
		t.Errorf("want an end not by memory, got %+v", exit)
	}
	if got := s.list(s.Driver)[spec.ID]; got.State != sandbox.Dead {
		t.Errorf("want the sandbox listed as dead until it is removed, got %+v", got)
	}
}

func testRemove(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	agent := s.dial(s.Driver, spec.ID)
	s.boot(agent)
	for range 2 {
		if err := s.Driver.Remove(t.Context(), spec.ID); err != nil {
			t.Fatalf("Remove: %v", err)
		}
	}
	if left := s.list(s.Driver); len(left) > 0 {
		t.Errorf("want no sandbox, got %v", left)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := agent.Boot(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("want the stream to end with its sandbox, got %v", err)
	}
	_, err := s.Driver.Wait(t.Context(), spec.ID)
	s.wantKind("Wait", err, fault.NotFound)
	s.create(spec) // the id is free again
}

func testRemoveDead(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	s.Kill(t, spec.ID)
	s.wait(s.Driver, spec.ID, 10*time.Second)
	if err := s.Driver.Remove(t.Context(), spec.ID); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	if left := s.list(s.Driver); len(left) > 0 {
		t.Errorf("want no sandbox, got %v", left)
	}
}

func testConcurrentCalls(t *testing.T, s *suite) {
	spec := s.Spec()
	s.Cleanup(func() { s.discard(spec) })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := s.Driver.Create(t.Context(), spec); err != nil && !fault.Is(err, fault.Conflict) {
				t.Errorf("Create: want success or a conflict, got %v", err)
			}
		})
		wg.Go(func() {
			if err := s.Driver.Stop(t.Context(), spec.ID); err != nil && !fault.Is(err, fault.NotFound) {
				t.Errorf("Stop: want success or not found, got %v", err)
			}
		})
		wg.Go(func() {
			if err := s.Driver.Remove(t.Context(), spec.ID); err != nil {
				t.Errorf("Remove: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := s.Driver.List(t.Context()); err != nil {
				t.Errorf("List: %v", err)
			}
		})
	}
	wg.Wait()
	if err := s.Driver.Remove(t.Context(), spec.ID); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	if left := s.list(s.Driver); len(left) > 0 {
		t.Errorf("want no sandbox, got %v", left)
	}
}

func testAdoption(t *testing.T, s *suite) {
	spec, unused := s.create(s.Spec()), s.create(s.Spec())
	first := s.dial(s.Driver, spec.ID)
	boot := s.boot(first)
	next := s.Reopen(t)
	_ = first.Close() // as the kernel does for a killed server

	got := s.list(next)
	if got[spec.ID].State != sandbox.Running || got[spec.ID].Workspace != spec.Workspace || got[unused.ID].State != sandbox.Running {
		t.Fatalf("want both sandboxes running, got %v", got)
	}
	if again := s.boot(s.dial(next, spec.ID)); again != boot {
		t.Errorf("want the same agent %q, got %q", boot, again)
	}
	s.boot(s.dial(next, unused.ID))
	if usage, err := next.Usage(t.Context(), spec.ID); err != nil || usage.MemoryBytes <= 0 {
		t.Errorf("Usage of an adopted sandbox: got %+v, %v", usage, err)
	}
	second := s.Spec()
	second.Workspace = spec.Workspace
	s.wantKind("a second sandbox of the workspace", next.Create(t.Context(), second), fault.Conflict)
	s.Kill(t, spec.ID)
	s.wait(next, spec.ID, 10*time.Second)
	for _, id := range []string{spec.ID, unused.ID} {
		if err := next.Remove(t.Context(), id); err != nil {
			t.Errorf("Remove of an adopted sandbox: %v", err)
		}
	}
	if left := s.list(next); len(left) > 0 {
		t.Errorf("want no sandbox, got %v", left)
	}
}

func testInstallations(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	boot := s.boot(s.dial(s.Driver, spec.ID))
	other := s.Other(t)
	if got := s.list(other); len(got) > 0 {
		t.Errorf("want no sandbox in the other installation, got %v", got)
	}
	_, err := other.Dial(t.Context(), spec.ID)
	s.wantKind("Dial from the other installation", err, fault.NotFound)
	s.wantKind("Stop from the other installation", other.Stop(t.Context(), spec.ID), fault.NotFound)
	if err := other.Remove(t.Context(), spec.ID); err != nil {
		t.Errorf("Remove from the other installation: %v", err)
	}
	if got := s.boot(s.dial(s.Driver, spec.ID)); got != boot {
		t.Errorf("want the sandbox untouched by the other installation, got agent %q instead of %q", got, boot)
	}
}

func testUsage(t *testing.T, s *suite) {
	spec := s.create(s.Spec())
	agent := s.dial(s.Driver, spec.ID)
	s.boot(agent)
	before, err := s.Driver.Usage(t.Context(), spec.ID)
	if err != nil {
		t.Fatalf("Usage: %v", err)
	}
	if before.CPU <= 0 || before.MemoryBytes <= 0 || before.PeakBytes < before.MemoryBytes {
		t.Errorf("want processor time, memory and a peak, got %+v", before)
	}
	s.shell(agent, "head -c 20000000 /dev/urandom >/workspace/file && sync")
	after, err := s.Driver.Usage(t.Context(), spec.ID)
	if err != nil {
		t.Fatalf("Usage: %v", err)
	}
	if after.CPU <= before.CPU {
		t.Errorf("want more processor time than %v, got %v", before.CPU, after.CPU)
	}
	if s.Driver.Capabilities().DiskQuota && after.DiskBytes < before.DiskBytes+19_000_000 {
		t.Errorf("want 20 MB more on the disk than %d, got %d", before.DiskBytes, after.DiskBytes)
	}
}
