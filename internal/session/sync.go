package session

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

const (
	// scanEvery is how often the whole tree is compared although nothing hints at a change: the net below the watch.
	scanEvery = 60 * time.Second
	// maxPaths is how many hints a round takes one by one; beyond it the whole tree is compared.
	maxPaths = 512
	// cooldown is how long a file that was just stored waits before a hint from the sandbox stores it again, so that a
	// program that writes without pause makes a few versions a second and not hundreds. Promise 2 allows 1 s.
	cooldown = 400 * time.Millisecond
)

// waiter is a caller of flush.
type waiter struct {
	ctx  context.Context // the caller is gone when it ends
	done chan<- error    // capacity 1, answered once
}

// syncer brings a workspace's stored files and the copy in its sandbox together. Changes of either side are hints that
// say where to look; each round then compares the store, a scan of the sandbox, and the base on which they last agreed.
// Rounds run one at a time, in run.
type syncer struct {
	live   *live
	events <-chan workspace.Event
	stop   func()
	once   sync.Once     // of close
	wake   chan struct{} // capacity 1: something is pending

	mu      sync.Mutex
	all     bool                // the next round looks at everything
	paths   map[string]struct{} // … at these; may be empty
	hints   map[string]struct{} // … at these once they have cooled down
	waiters []waiter            // told when a round has settled everything

	// Below is run's alone.
	cool     map[string]time.Time
	notSaved map[string]NotSaved
}

func newSyncer(l *live) *syncer {
	return &syncer{live: l, wake: make(chan struct{}, 1), paths: map[string]struct{}{}, hints: map[string]struct{}{},
		cool: map[string]time.Time{}, notSaved: map[string]NotSaved{}}
}

// subscribe must come before the store is read for the first time, so that no change falls between.
func (s *syncer) subscribe() {
	s.events, s.stop = s.live.service.cfg.Files.Watch(s.live.workspace)
}

// close ends the subscription. Callers that still wait for a round are told that there will be none.
func (s *syncer) close() {
	s.once.Do(func() {
		if s.stop != nil {
			s.stop()
		}
	})
	s.mu.Lock()
	waiters := s.waiters
	s.waiters = nil
	s.mu.Unlock()
	answer(waiters, fault.New(fault.Unavailable, "The session has ended."))
}

// everything makes the next round compare the whole tree.
func (s *syncer) everything() {
	s.mu.Lock()
	s.all = true
	s.mu.Unlock()
	s.signal()
}

// hint says that something may have changed in the sandbox; nil: anywhere.
func (s *syncer) hint(paths []string) {
	s.mu.Lock()
	if paths == nil {
		s.all = true
	}
	for _, p := range paths {
		s.hints[p] = struct{}{}
	}
	if len(s.hints) > maxPaths {
		s.all = true
		clear(s.hints)
	}
	s.mu.Unlock()
	s.signal()
}

// flush waits until a round that began after now has brought both sides together: at the paths and at all that was known
// to be pending, or everywhere when paths is nil.
func (s *syncer) flush(ctx context.Context, paths []string) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	done := make(chan error, 1)
	s.mu.Lock()
	if paths == nil {
		s.all = true
	}
	for _, p := range paths {
		s.paths[p] = struct{}{}
	}
	s.waiters = append(s.waiters, waiter{ctx, done})
	s.mu.Unlock()
	s.signal()
	select {
	case err := <-done:
		return err
	case <-s.live.ended:
		return fault.New(fault.NotFound, "The session has ended.")
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Timeout, "The files did not reach the sandbox in time. They are stored; try again.")
	}
}

func (s *syncer) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func answer(waiters []waiter, err error) {
	for _, w := range waiters {
		w.done <- err
	}
}

// run makes rounds until the context ends.
func (s *syncer) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.watch(ctx) })

	scan := time.NewTicker(scanEvery)
	defer scan.Stop()
	timer := time.NewTimer(0) // for what cools down, and after a failure
	defer timer.Stop()
	tries := 0
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-s.events:
			s.note(event, open)
		case <-scan.C:
			s.everything()
			continue
		case <-timer.C:
		case <-s.wake:
		}
		s.drain()
		scope, waiters, next := s.take()
		if next > 0 {
			timer.Reset(next)
		}
		if scope.empty() && len(waiters) == 0 {
			continue
		}
		again, err := s.round(ctx, scope)
		if err == nil && again.empty() {
			tries = 0
			answer(waiters, nil)
			continue
		}
		if ctx.Err() != nil {
			answer(waiters, fault.Wrap(ctx.Err(), fault.Unavailable, "The server is stopping."))
			return
		}
		tries++
		if err != nil {
			again = scope
			if fault.Is(err, fault.Exhausted) { // more than a scan may list: nothing is stored until there is less
				s.publish(scope, map[string]NotSaved{".": {Path: ".", Reason: fault.MessageOf(err)}}, nil)
			}
			s.live.log.Info("a sync round did not succeed", "session", s.live.id(), "try", tries, "err", err)
		}
		wait := min(10*time.Millisecond<<min(tries, 9), 5*time.Second)
		if tries > 1 {
			again.all = true // a narrow look did not settle it
		}
		s.putBack(again, waiters)
		timer.Reset(wait)
		// What is pending waits for the timer; a new hint may come first and is welcome to.
	}
}

// scope is where a round looks.
type scope struct {
	all   bool
	paths []string
}

func (s scope) empty() bool { return !s.all && len(s.paths) == 0 }

// list is what Scan and the stores take: nil for everything.
func (s scope) list() []string {
	if s.all {
		return nil
	}
	return s.paths
}

// holds reports whether p is in the scope.
func (s scope) holds(p string) bool {
	if s.all {
		return true
	}
	for _, one := range s.paths {
		if p == one || strings.HasPrefix(p, one+"/") {
			return true
		}
	}
	return false
}

// note takes a change of the store as a hint. What this session stored itself is known already.
func (s *syncer) note(event workspace.Event, open bool) {
	if !open {
		s.events = nil
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if event.Lost {
		s.all = true
		return
	}
	if event.By.SessionID == s.live.sessionID() {
		return
	}
	if item := event.Applied.Item; item != nil {
		s.paths[item.Path] = struct{}{}
	}
	if event.Applied.Removed != "" {
		s.paths[event.Applied.Removed] = struct{}{}
	}
	if moved := event.Applied.Moved; moved != nil {
		s.paths[moved.From] = struct{}{}
		s.paths[moved.To] = struct{}{}
	}
}

// drain takes all events that are there, so that a flush sees every change that was committed before it.
func (s *syncer) drain() {
	for {
		select {
		case event, open := <-s.events:
			s.note(event, open)
			if !open {
				return
			}
		default:
			return
		}
	}
}

// take returns what the next round must do, and when what is left is due.
func (s *syncer) take() (scope, []waiter, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for p, until := range s.cool {
		if !until.After(now) {
			delete(s.cool, p)
		}
	}
	out := scope{all: s.all}
	s.all = false
	waiters := s.waiters
	s.waiters = nil
	set := s.paths
	s.paths = map[string]struct{}{}
	var next time.Duration
	for p := range s.hints {
		if until, cooling := s.cool[p]; cooling && len(waiters) == 0 && !out.all {
			if wait := until.Sub(now); next == 0 || wait < next {
				next = wait
			}
			continue
		}
		set[p] = struct{}{}
		delete(s.hints, p)
	}
	if len(set) > maxPaths {
		out.all = true
	}
	if !out.all {
		out.paths = outermost(set)
	}
	return out, waiters, next
}

// putBack makes the scope pending again, and lets those callers wait on who still do.
func (s *syncer) putBack(sc scope, waiters []waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = s.all || sc.all
	for _, p := range sc.paths {
		s.paths[p] = struct{}{}
	}
	for _, w := range waiters {
		if w.ctx.Err() == nil {
			s.waiters = append(s.waiters, w)
		}
	}
}

// outermost returns the paths of the set that are below no other of it.
func outermost(set map[string]struct{}) []string {
	var out []string
next:
	for p := range set {
		for up := path.Dir(p); up != "."; up = path.Dir(up) {
			if _, above := set[up]; above {
				continue next
			}
		}
		out = append(out, p)
	}
	return out
}

// watch takes the agent's hints over every connection that there is.
func (s *syncer) watch(ctx context.Context) {
	for {
		agent, err := s.live.connected(ctx)
		if err != nil {
			return
		}
		err = agent.Watch(ctx, s.hint)
		if ctx.Err() != nil {
			return
		}
		s.live.log.Debug("watching a sandbox's files ended", "session", s.live.id(), "err", err)
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}
