package sandboxtest

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Fake is a driver whose sandboxes are goroutines: no isolation, no limits, but the life of a real one. It passes the
// suite where that asks for nothing inside a sandbox. Tests of packages above drivers use it.
type Fake struct {
	installation string
	machine      *machine
	known        map[string]bool // sandboxes whose first stream this driver may hand out; guarded by machine.mu
}

var _ sandbox.Driver = (*Fake)(nil)

// Serve is the agent at the far end of one stream. It returns when the stream is closed, which also the sandbox's end does.
type Serve func(id string, stream io.ReadWriteCloser)

// machine is what outlives a server: the sandboxes and homes of all installations.
type machine struct {
	serve Serve
	wg    sync.WaitGroup

	mu        sync.Mutex
	sandboxes map[string]*fakeSandbox
	homes     map[string]bool
	creating  error
}

type fakeSandbox struct {
	installation string
	spec         sandbox.Spec
	created      time.Time
	first        net.Conn // the client's end of the agent's own stdio; nil once it is dialled
	ends         []net.Conn
	dead         chan struct{} // closed at the end; then exit is set
	exit         sandbox.Exit
}

// NewFake returns a fake driver on a machine of its own, with the agent that each sandbox runs. It takes installation "a".
func NewFake(serve Serve) *Fake {
	m := &machine{serve: serve, sandboxes: map[string]*fakeSandbox{}, homes: map[string]bool{}}
	return &Fake{installation: "a", machine: m, known: map[string]bool{}}
}

// Reopen returns the driver of a server that starts on the same machine after this one's was killed. The old driver must
// not be used any more.
func (f *Fake) Reopen() *Fake {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	for _, s := range f.machine.sandboxes {
		if s.first != nil && s.installation == f.installation {
			_ = s.first.Close() // as the kernel does with a dead server's pipes
			s.first = nil
		}
	}
	return &Fake{installation: f.installation, machine: f.machine, known: map[string]bool{}}
}

// Other returns the driver of another installation on the same machine.
func (f *Fake) Other() *Fake {
	return &Fake{installation: f.installation + "x", machine: f.machine, known: map[string]bool{}}
}

// FailCreate makes the next calls of Create return the error, until it is nil.
func (f *Fake) FailCreate(err error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	f.machine.creating = err
}

// Kill ends a sandbox from inside, with what Wait will report.
func (f *Fake) Kill(id string, exit sandbox.Exit) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	if s := f.machine.sandboxes[id]; s != nil {
		s.end(exit)
	}
}

// Homes returns the workspaces that have a home, in order.
func (f *Fake) Homes() []string {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	var out []string
	for workspace := range f.machine.homes {
		out = append(out, workspace)
	}
	slices.Sort(out)
	return out
}

// Close ends every sandbox of the machine and waits for their agents.
func (f *Fake) Close() {
	f.machine.mu.Lock()
	for _, s := range f.machine.sandboxes {
		s.end(sandbox.Exit{Detail: "The sandbox was stopped."})
	}
	f.machine.mu.Unlock()
	f.machine.wg.Wait()
}

func (s *fakeSandbox) end(exit sandbox.Exit) {
	if s.ended() {
		return
	}
	s.exit = exit
	close(s.dead)
	for _, c := range s.ends {
		_ = c.Close() // in memory, it cannot fail
	}
}

func (s *fakeSandbox) ended() bool {
	select {
	case <-s.dead:
		return true
	default:
		return false
	}
}

// connect starts an agent's goroutine at one end of a new stream and returns the other. The machine's lock is held.
func (m *machine) connect(s *fakeSandbox) net.Conn {
	near, far := net.Pipe()
	s.ends = append(s.ends, near, far)
	m.wg.Go(func() {
		defer far.Close()
		m.serve(s.spec.ID, far)
	})
	return near
}

// find returns a sandbox of this installation. The machine's lock is held.
func (f *Fake) find(id string) (*fakeSandbox, error) {
	if err := sandbox.ValidateID(id); err != nil {
		return nil, err
	}
	s := f.machine.sandboxes[id]
	if s == nil || s.installation != f.installation {
		return nil, fault.New(fault.NotFound, "No such sandbox.")
	}
	return s, nil
}

// Capabilities implements sandbox.Driver.
func (f *Fake) Capabilities() sandbox.Capabilities {
	return sandbox.Capabilities{Isolations: []sandbox.Isolation{sandbox.GVisor}, Runtime: "fake"}
}

// Create implements sandbox.Driver.
func (f *Fake) Create(ctx context.Context, spec sandbox.Spec) error {
	if err := errors.Join(ctx.Err(), spec.Validate()); err != nil {
		return err
	}
	if spec.Isolation != sandbox.GVisor {
		return fault.New(fault.Invalid, "The isolation %q is not offered.", spec.Isolation).On("isolation")
	}
	m := f.machine
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.creating != nil {
		return m.creating
	}
	if m.sandboxes[spec.ID] != nil {
		return fault.New(fault.Conflict, "A sandbox with this id exists already.").On("id")
	}
	if m.inUse(spec.Workspace) {
		return fault.New(fault.Conflict, "The workspace has a sandbox already.").On("workspace")
	}
	s := &fakeSandbox{installation: f.installation, spec: spec, created: time.Now(), dead: make(chan struct{})}
	s.first = m.connect(s)
	m.sandboxes[spec.ID] = s
	m.homes[spec.Workspace] = true
	f.known[spec.ID] = true
	return nil
}

func (m *machine) inUse(workspace string) bool {
	for _, s := range m.sandboxes {
		if s.spec.Workspace == workspace {
			return true
		}
	}
	return false
}

// Dial implements sandbox.Driver.
func (f *Fake) Dial(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	s, err := f.find(id)
	if err != nil {
		return nil, err
	}
	if s.ended() {
		return nil, fault.New(fault.Unavailable, "The sandbox has ended.")
	}
	if first := s.first; first != nil && f.known[id] {
		s.first = nil
		return first, nil
	}
	return f.machine.connect(s), nil
}

// Wait implements sandbox.Driver.
func (f *Fake) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	f.machine.mu.Lock()
	s, err := f.find(id)
	f.machine.mu.Unlock()
	if err != nil {
		return sandbox.Exit{}, err
	}
	select {
	case <-s.dead:
		return s.exit, nil
	case <-ctx.Done():
		return sandbox.Exit{}, ctx.Err()
	}
}

// Stop implements sandbox.Driver.
func (f *Fake) Stop(_ context.Context, id string) error {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	s, err := f.find(id)
	if err != nil {
		return err
	}
	s.end(sandbox.Exit{Detail: "The sandbox was stopped."})
	return nil
}

// Remove implements sandbox.Driver.
func (f *Fake) Remove(_ context.Context, id string) error {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	s, err := f.find(id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.end(sandbox.Exit{Detail: "The sandbox was stopped."})
	delete(f.machine.sandboxes, id)
	return nil
}

// RemoveHome implements sandbox.Driver.
func (f *Fake) RemoveHome(_ context.Context, workspace string) error {
	if err := sandbox.ValidateID(workspace); err != nil {
		return err
	}
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	if f.machine.inUse(workspace) {
		return fault.New(fault.Conflict, "The workspace still has a sandbox.").On("workspace")
	}
	delete(f.machine.homes, workspace)
	return nil
}

// List implements sandbox.Driver.
func (f *Fake) List(context.Context) ([]sandbox.Instance, error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	var out []sandbox.Instance
	for id, s := range f.machine.sandboxes {
		if s.installation != f.installation {
			continue
		}
		state := sandbox.Running
		if s.ended() {
			state = sandbox.Dead
		}
		out = append(out, sandbox.Instance{ID: id, Workspace: s.spec.Workspace, State: state, Created: s.created})
	}
	slices.SortFunc(out, func(a, b sandbox.Instance) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Usage implements sandbox.Driver.
func (f *Fake) Usage(_ context.Context, id string) (sandbox.Usage, error) {
	f.machine.mu.Lock()
	defer f.machine.mu.Unlock()
	s, err := f.find(id)
	if err != nil {
		return sandbox.Usage{}, err
	}
	return sandbox.Usage{CPU: time.Since(s.created) / 100, MemoryBytes: 10 << 20, PeakBytes: 20 << 20, Processes: 1}, nil
}
