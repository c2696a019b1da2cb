package session

import (
	"context"
	"errors"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// Config is what a Service works with. Every field but Pool must be set.
type Config struct {
	Store     Store
	Driver    sandbox.Driver
	Pool      *sandbox.Pool // nil: every session waits for a new sandbox
	Connect   Connect
	Files     *workspace.Service
	Isolation sandbox.Isolation
	Limits    sandbox.Limits
	Policy    Policy
	Server    uuid.UUID // this server's id, new at each start
	Lease     time.Duration
	Log       *slog.Logger
}

// Service keeps the live sessions of one server.
type Service struct {
	cfg      Config
	tick     time.Duration // between two looks at a session's usage
	watchers watchers

	// base ends when the service closes; the goroutines of sessions run under it.
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu   sync.Mutex
	live map[uuid.UUID]*live // by workspace
}

// Times that bound the work with a sandbox.
const (
	startTimeout  = 60 * time.Second // making a sandbox and loading its files
	removeTimeout = 30 * time.Second
	flushTimeout  = 10 * time.Second // for a change to reach the other side before it is waited for no more
	callTimeout   = 10 * time.Second // for one question to an agent
)

// New returns a Service. Recover must be called before anything else.
func New(cfg Config) *Service {
	base, cancel := context.WithCancel(context.Background())
	tick := watchedEvery
	if idle := cfg.Policy.IdleAfter; idle > 0 {
		tick = min(tick, idle/4)
	}
	return &Service{cfg: cfg, tick: max(tick, time.Millisecond), base: base, cancel: cancel, live: map[uuid.UUID]*live{}}
}

func (s *Service) renewLeases() {
	ticker := time.NewTicker(s.cfg.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-s.base.Done():
			return
		case <-ticker.C:
		}
		ctx, cancel := context.WithTimeout(s.base, callTimeout)
		if err := s.cfg.Store.RenewLease(ctx, s.cfg.Server, s.cfg.Lease); err != nil && s.base.Err() == nil {
			s.cfg.Log.Warn("cannot renew the sessions' leases", "err", err)
		}
		cancel()
	}
}

// Close lets go of all sessions without ending them: their sandboxes go on for the next server.
func (s *Service) Close() {
	s.cancel()
	s.wg.Wait()
}

// Count returns how many sessions are live on this server.
func (s *Service) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

// Watch returns a channel that is signalled after the View of the workspace changed, and a function that ends it.
func (s *Service) Watch(ctx context.Context, p auth.Principal, ws uuid.UUID) (<-chan struct{}, func(), error) {
	if _, err := s.cfg.Files.Get(ctx, p, ws); err != nil {
		return nil, nil, err
	}
	c, stop := s.watchers.watch(ws)
	return c, stop, nil
}

// View returns what there is to know about the workspace's session.
func (s *Service) View(ctx context.Context, p auth.Principal, ws uuid.UUID) (View, error) {
	if _, err := s.cfg.Files.Get(ctx, p, ws); err != nil {
		return View{}, err
	}
	if l := s.find(ws); l != nil {
		return l.view(), nil
	}
	last, err := s.cfg.Store.LastSession(ctx, ws)
	if fault.Is(err, fault.NotFound) {
		return View{}, nil
	}
	return View{Session: &last, Notices: last.Record.Notices}, err
}

// Live returns the states of the live sessions among the workspaces; for lists, without a check of rights.
func (s *Service) Live(workspaces []uuid.UUID) map[uuid.UUID]Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[uuid.UUID]Session{}
	for _, ws := range workspaces {
		if l := s.live[ws]; l != nil {
			out[ws] = l.current()
		}
	}
	return out
}

func (s *Service) find(ws uuid.UUID) *live {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live[ws]
}

// Start returns the workspace's live session, started if there was none, once it runs and its files are there.
func (s *Service) Start(ctx context.Context, p auth.Principal, ws uuid.UUID) (Session, error) {
	l, err := s.ensure(ctx, p, ws)
	if err != nil {
		return Session{}, err
	}
	return l.current(), nil
}

func (s *Service) ensure(ctx context.Context, p auth.Principal, ws uuid.UUID) (*live, error) {
	if _, err := s.cfg.Files.Get(ctx, p, ws); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.base.Err() != nil {
		s.mu.Unlock()
		return nil, fault.New(fault.Unavailable, "The server is stopping. Try again in a moment.").After(time.Second)
	}
	l := s.live[ws]
	if l == nil {
		l = newLive(s, Session{WorkspaceID: ws, StartedBy: p.UserID, State: Starting, CreatedAt: time.Now()})
		s.live[ws] = l
		s.wg.Go(l.start)
	}
	s.mu.Unlock()
	select {
	case <-l.ready:
		return l, l.startErr
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The sandbox is still starting. Try again in a moment.")
	}
}

// forget drops a session that has ended from the live ones.
func (s *Service) forget(l *live) {
	s.mu.Lock()
	if s.live[l.workspace] == l {
		delete(s.live, l.workspace)
	}
	s.mu.Unlock()
	s.watchers.changed(l.workspace)
}

// End stores the session's files and removes its sandbox. It succeeds when there is no live session.
func (s *Service) End(ctx context.Context, p auth.Principal, ws uuid.UUID, reason string) error {
	if _, err := s.cfg.Files.Get(ctx, p, ws); err != nil {
		return err
	}
	return s.endAny(ctx, ws, reason)
}

func (s *Service) endAny(ctx context.Context, ws uuid.UUID, reason string) error {
	l := s.find(ws)
	if l == nil {
		return nil
	}
	l.end(reason)
	select {
	case <-l.ended:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Timeout, "The session is still ending.")
	}
}

// Restart ends the workspace's session, if it has one, and starts a new one.
func (s *Service) Restart(ctx context.Context, p auth.Principal, ws uuid.UUID) (Session, error) {
	if err := s.End(ctx, p, ws, "Restarted."); err != nil {
		return Session{}, err
	}
	return s.Start(ctx, p, ws)
}

// Discard ends the session of a workspace that was deleted, and deletes its home.
func (s *Service) Discard(ctx context.Context, ws uuid.UUID) error {
	if err := s.endAny(ctx, ws, "The workspace was deleted."); err != nil {
		return err
	}
	return s.cfg.Driver.RemoveHome(ctx, ws.String())
}

// OpenTerminal opens a shell in the workspace's session, which it starts if there is none.
func (s *Service) OpenTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, size terminal.Size) (terminal.State, error) {
	l, err := s.ensure(ctx, p, ws)
	if err != nil {
		return terminal.State{}, err
	}
	return l.open(ctx, terminal.Options{Kind: terminal.Shell, Title: "bash", Size: size})
}

// Run executes a Python file of the workspace in a terminal of its own, once every stored change has reached the sandbox.
// A finished run of the same file is replaced.
func (s *Service) Run(ctx context.Context, p auth.Principal, ws uuid.UUID, file string, size terminal.Size) (terminal.State, error) {
	item, err := s.cfg.Files.Stat(ctx, p, ws, file)
	if err != nil {
		return terminal.State{}, err
	}
	if item.Kind != workspace.File || path.Ext(file) != ".py" {
		return terminal.State{}, fault.New(fault.Invalid, "Only Python files (.py) can be run.").On("path")
	}
	l, err := s.ensure(ctx, p, ws)
	if err != nil {
		return terminal.State{}, err
	}
	if err := l.sync.flush(ctx, []string{file}); err != nil {
		return terminal.State{}, err
	}
	for _, t := range l.view().Terminals {
		if t.Kind == terminal.Run && t.Title == file && t.Exit != nil {
			if err := l.close(ctx, t.ID); err != nil && !fault.Is(err, fault.NotFound) {
				return terminal.State{}, err
			}
		}
	}
	return l.open(ctx, terminal.Options{Kind: terminal.Run, Title: file, Argv: []string{"python3", "-u", "--", file}, Size: size})
}

// CloseTerminal ends a terminal and its processes.
func (s *Service) CloseTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, id string) error {
	l, err := s.running(ctx, p, ws)
	if err != nil {
		return err
	}
	return l.close(ctx, id)
}

// Attach connects a viewer to a terminal of the workspace's live session.
func (s *Service) Attach(ctx context.Context, p auth.Principal, ws uuid.UUID, id string, o terminal.AttachOptions) (terminal.Attachment, terminal.State, error) {
	l, err := s.running(ctx, p, ws)
	if err != nil {
		return nil, terminal.State{}, err
	}
	return l.attach(ctx, id, o)
}

// running returns the live session without starting one, and waits while it starts or reconnects to its agent.
func (s *Service) running(ctx context.Context, p auth.Principal, ws uuid.UUID) (*live, error) {
	if _, err := s.cfg.Files.Get(ctx, p, ws); err != nil {
		return nil, err
	}
	l := s.find(ws)
	if l == nil {
		return nil, fault.New(fault.NotFound, "No such terminal: the workspace has no live session.")
	}
	select {
	case <-l.ready:
		return l, l.startErr
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The sandbox is still starting. Try again in a moment.")
	}
}

// Flush waits until every change in the sandbox is stored and every stored change is in the sandbox.
func (s *Service) Flush(ctx context.Context, ws uuid.UUID) error {
	l := s.find(ws)
	if l == nil {
		return nil
	}
	return l.sync.flush(ctx, nil)
}

var errGone = errors.New("the session has ended")
