package session

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// live is one session on this server, from its start to its end. start or adopt is its owner goroutine; the others that it
// starts have ended before ended is closed.
type live struct {
	service   *Service
	workspace uuid.UUID
	log       *slog.Logger

	ready    chan struct{} // closed when the session runs, or could not start: then startErr is set
	startErr error
	ended    chan struct{} // closed when nothing of it is left

	ending    chan struct{} // closed by end
	endOnce   sync.Once
	endReason string // set before ending is closed

	adopted bool // from an earlier server

	sync *syncer

	mu        sync.Mutex
	session   Session
	agent     Agent         // nil while there is no connection
	agentUp   chan struct{} // closed when agent is set; replaced when it is lost
	terminals []terminal.State
	notSaved  []NotSaved
	conflicts []Conflict
	usage     *Usage     // nil before the first reading
	endsAt    *time.Time // when it ends by its age; nil while that is far
	record    Record

	viewers    atomic.Int32 // of its terminals
	lastActive atomic.Int64 // when it was last in use, nanoseconds of the wall clock
}

func newLive(s *Service, one Session) *live {
	l := &live{service: s, workspace: one.WorkspaceID, session: one, record: one.Record, ready: make(chan struct{}), ended: make(chan struct{}),
		ending: make(chan struct{}), agentUp: make(chan struct{}),
		log: s.cfg.Log.With("workspace", one.WorkspaceID)}
	l.lastActive.Store(time.Now().UnixNano())
	l.sync = newSyncer(l)
	return l
}

func (l *live) current() Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session
}

func (l *live) sessionID() uuid.UUID { return l.current().ID }

func (l *live) id() string { return l.sessionID().String() }

func (l *live) view() View {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.session
	return View{Session: &one, Terminals: slices.Clone(l.terminals), NotSaved: slices.Clone(l.notSaved), Conflicts: slices.Clone(l.conflicts),
		Usage: l.usage, Notices: slices.Clone(l.record.Notices), EndsAt: l.endsAt}
}

func (l *live) changed() { l.service.watchers.changed(l.workspace) }

// end asks the session to store its files and end. It does not wait.
func (l *live) end(reason string) {
	l.endOnce.Do(func() {
		l.endReason = reason
		close(l.ending)
	})
}

// start makes the sandbox, loads the files, and then tends the session until its end.
func (l *live) start() {
	defer close(l.ended)
	defer l.service.forget(l)
	defer l.sync.close()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(l.service.base, startTimeout)
	err := l.make(ctx)
	cancel()
	if err != nil {
		l.log.Warn("cannot start a session", "err", err)
		if fault.KindOf(err) == fault.Internal {
			err = fault.Wrap(err, fault.Unavailable, "The sandbox could not be started. The server's log says why.")
		}
		l.startErr = err
		close(l.ready)
		return
	}
	l.log.Info("session runs", "session", l.id(), "took", time.Since(begun).Round(time.Millisecond))
	close(l.ready)
	l.changed()
	l.tend()
}

func (l *live) make(ctx context.Context) error {
	cfg := l.service.cfg
	l.changed()
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	warm, pooled := l.takeWarm()
	if pooled {
		id = uuid.MustParse(warm.ID) // the pool made it
	}
	one, err := cfg.Store.CreateSession(ctx, id, l.workspace, l.current().StartedBy, cfg.Server, cfg.Lease, cfg.Policy.quota())
	if err != nil {
		if pooled {
			cfg.Pool.Discard(warm)
		}
		return l.service.offer(err, l.current().StartedBy)
	}
	l.mu.Lock()
	l.session = one
	l.mu.Unlock()
	l.changed()
	err = func() error {
		spec := sandbox.Spec{ID: one.ID.String(), Workspace: l.workspace.String(), Isolation: cfg.Isolation, Limits: cfg.Limits}
		if err := l.obtain(ctx, spec, warm, pooled); err != nil {
			return err
		}
		if err := l.sync.load(ctx); err != nil {
			return err
		}
		return l.setState(ctx, Running, "")
	}()
	if err != nil {
		l.drop("The sandbox could not be started.")
	}
	return err
}

// adopt goes on with a session that an earlier server left running.
func (l *live) adopt() {
	l.adopted = true
	defer close(l.ended)
	defer l.service.forget(l)
	defer l.sync.close()
	ctx, cancel := context.WithTimeout(l.service.base, startTimeout)
	defer cancel()
	err := l.dial(ctx)
	if err == nil {
		l.sync.resume()
		l.refreshTerminals(ctx)
	}
	if err != nil {
		if l.service.base.Err() != nil {
			l.startErr = errGone
			close(l.ready)
			return
		}
		l.log.Warn("cannot go on with a session", "session", l.id(), "err", err)
		l.startErr = fault.Wrap(err, fault.Unavailable, "The sandbox did not answer after the server came back.")
		l.drop("The sandbox did not answer after the server came back. Your files are safe.")
		close(l.ready)
		return
	}
	l.log.Info("session adopted", "session", l.id())
	close(l.ready)
	if one := l.current(); one.State == Ending {
		l.end(one.Reason) // the earlier server did not come to its end
	}
	l.changed()
	l.tend()
}

// tend keeps the session until its sandbox dies, somebody ends it, or the server stops.
func (l *live) tend() {
	ctx, cancel := context.WithCancel(l.service.base)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	dead := make(chan sandbox.Exit, 1)
	wg.Go(func() { l.awaitDeath(ctx, dead) })
	wg.Go(func() { l.keepConnected(ctx) })
	wg.Go(func() { l.sync.run(ctx) })
	wg.Go(func() { l.followTerminals(ctx) })
	wg.Go(func() { l.govern(ctx) })

	select {
	case <-ctx.Done():
		// The sandbox outlives the server; only our end of the connection goes.
		l.disconnect()
	case exit := <-dead:
		reason := exit.Detail
		if reason == "" {
			reason = "The sandbox ended unexpectedly."
		}
		l.log.Warn("a sandbox died", "session", l.id(), "oom", exit.OutOfMemory, "detail", exit.Detail)
		if exit.OutOfMemory {
			l.explainDeath()
		}
		l.drop(reason)
	case <-l.ending:
		stateCtx, stop := context.WithTimeout(l.service.base, callTimeout)
		if err := l.setState(stateCtx, Ending, l.endReason); err != nil {
			l.log.Warn("cannot mark a session as ending", "err", err)
		}
		stop()
		flushCtx, stop := context.WithTimeout(l.service.base, flushTimeout)
		if err := l.sync.flush(flushCtx, nil); err != nil {
			l.log.Warn("ending a session whose last changes could not be stored", "session", l.id(), "err", err)
		}
		stop()
		l.drop(l.endReason)
	}
}

func (l *live) awaitDeath(ctx context.Context, dead chan<- sandbox.Exit) {
	for {
		exit, err := l.service.cfg.Driver.Wait(ctx, l.id())
		if ctx.Err() != nil {
			return
		}
		if err == nil || fault.Is(err, fault.NotFound) {
			dead <- exit
			return
		}
		l.log.Warn("cannot wait for a sandbox", "session", l.id(), "err", err)
		if !pause(ctx, time.Second) {
			return
		}
	}
}

// pause waits for d and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// keepConnected dials again whenever the connection to the agent is lost.
func (l *live) keepConnected(ctx context.Context) {
	wait := 50 * time.Millisecond
	for {
		agent := l.connection()
		if agent != nil {
			select {
			case <-ctx.Done():
				return
			case <-agent.Done():
			}
			l.disconnect()
			if ctx.Err() == nil {
				l.log.Info("lost the connection to an agent", "session", l.id())
			}
		}
		dialCtx, cancel := context.WithTimeout(ctx, callTimeout)
		err := l.dial(dialCtx)
		cancel()
		if err == nil {
			wait = 50 * time.Millisecond
			l.sync.everything()
			l.changed()
			continue
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, 2*time.Second)
	}
}

func (l *live) dial(ctx context.Context) error {
	stream, err := l.service.cfg.Driver.Dial(ctx, l.id())
	if err != nil {
		return err
	}
	return l.connect(ctx, stream)
}

func (l *live) connect(ctx context.Context, stream io.ReadWriteCloser) error {
	agent, err := l.service.cfg.Connect(ctx, stream)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.agent = agent
	close(l.agentUp)
	l.mu.Unlock()
	return nil
}

func (l *live) disconnect() {
	l.mu.Lock()
	agent := l.agent
	if agent != nil {
		l.agent = nil
		l.agentUp = make(chan struct{})
	}
	l.mu.Unlock()
	if agent != nil {
		_ = agent.Close() // the connection is being given up; there is nobody to tell
	}
}

func (l *live) connection() Agent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.agent
}

// connected returns the connection to the agent and waits while there is none.
func (l *live) connected(ctx context.Context) (Agent, error) {
	for {
		l.mu.Lock()
		agent, up := l.agent, l.agentUp
		l.mu.Unlock()
		if agent != nil {
			return agent, nil
		}
		select {
		case <-up:
		case <-l.ended:
			return nil, fault.New(fault.NotFound, "The session has ended.")
		case <-ctx.Done():
			return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The sandbox does not answer.")
		}
	}
}

func (l *live) setState(ctx context.Context, state State, reason string) error {
	one, err := l.service.cfg.Store.SetState(ctx, l.current().ID, l.service.cfg.Server, state, reason)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.session = one
	l.mu.Unlock()
	l.changed()
	return nil
}

// drop removes the sandbox and marks the session as ended.
func (l *live) drop(reason string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.service.base), removeTimeout)
	defer cancel()
	l.disconnect()
	if l.current().ID != uuid.Nil {
		l.keepRecord(ctx)
	}
	if err := l.service.cfg.Driver.Remove(ctx, l.id()); err != nil {
		l.log.Error("cannot remove a sandbox; it is tried again at the next start", "session", l.id(), "err", err)
	}
	if err := l.setState(ctx, Ended, reason); err != nil {
		l.log.Error("cannot mark a session as ended", "session", l.id(), "err", err)
	}
}

func (l *live) open(ctx context.Context, o terminal.Options) (terminal.State, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	agent, err := l.connected(ctx)
	if err != nil {
		return terminal.State{}, err
	}
	o.ID = uuid.NewString()
	state, err := agent.OpenTerminal(ctx, o)
	if err != nil {
		return terminal.State{}, err
	}
	l.refreshTerminals(ctx)
	return state, nil
}

func (l *live) close(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	agent, err := l.connected(ctx)
	if err != nil {
		return err
	}
	err = agent.CloseTerminal(ctx, id)
	l.refreshTerminals(ctx)
	return err
}

// followTerminals notices exits of terminals that nobody looks at.
func (l *live) followTerminals(ctx context.Context) {
	for pause(ctx, 5*time.Second) {
		if slices.ContainsFunc(l.view().Terminals, func(t terminal.State) bool { return t.Exit == nil }) {
			callCtx, cancel := context.WithTimeout(ctx, callTimeout)
			l.refreshTerminals(callCtx)
			cancel()
		}
	}
}

// refreshTerminals asks the agent for its terminals. The list in memory is only a copy for the pages.
func (l *live) refreshTerminals(ctx context.Context) {
	agent, err := l.connected(ctx)
	if err != nil {
		return
	}
	list, err := agent.Terminals(ctx)
	if err != nil {
		l.log.Warn("an agent does not list its terminals", "session", l.id(), "err", err)
		return
	}
	slices.SortFunc(list, func(a, b terminal.State) int { return a.Started.Compare(b.Started) })
	l.mu.Lock()
	same := slices.EqualFunc(l.terminals, list, func(a, b terminal.State) bool {
		return a.ID == b.ID && a.Title == b.Title && a.Size == b.Size && a.Busy == b.Busy && (a.Exit == nil) == (b.Exit == nil)
	})
	l.terminals = list
	l.mu.Unlock()
	if !same {
		l.changed()
	}
}

func (l *live) attach(ctx context.Context, id string, o terminal.AttachOptions) (terminal.Attachment, terminal.State, error) {
	dialCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	agent, err := l.connected(dialCtx)
	if err != nil {
		return nil, terminal.State{}, err
	}
	list := l.view().Terminals
	at := slices.IndexFunc(list, func(t terminal.State) bool { return t.ID == id })
	if at < 0 {
		return nil, terminal.State{}, fault.New(fault.NotFound, "No such terminal.")
	}
	attachment, err := agent.Attach(ctx, id, o)
	if err != nil {
		return nil, terminal.State{}, err
	}
	l.viewers.Add(1)
	return &watched{Attachment: attachment, live: l}, list[at], nil
}

// watched tells the session's pages when the terminal that it shows has exited, and counts as a viewer until it is closed.
type watched struct {
	terminal.Attachment
	live *live
	once sync.Once
}

func (w *watched) Close() error {
	w.once.Do(func() { w.live.viewers.Add(-1) })
	return w.Attachment.Close()
}

func (w *watched) Next() (terminal.Event, error) {
	event, err := w.Attachment.Next()
	if err == nil && event.Exit != nil {
		ctx, cancel := context.WithTimeout(w.live.service.base, callTimeout)
		defer cancel()
		w.live.refreshTerminals(ctx)
	}
	return event, err
}

// report replaces what is known to be in the sandbox only, below the scope of a scan.
func (l *live) report(notSaved []NotSaved, conflicts []Conflict) {
	l.mu.Lock()
	same := slices.Equal(l.notSaved, notSaved) && len(conflicts) == 0
	l.notSaved = notSaved
	l.conflicts = append(l.conflicts, conflicts...)
	l.mu.Unlock()
	if !same {
		l.changed()
	}
}

var _ io.Closer = Agent(nil)

var _ workspace.Replica = Agent(nil)
