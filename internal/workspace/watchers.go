package workspace

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"vivarium/internal/fault"
)

// Event is something that happened to a workspace. One of Applied, Workspace, Gone and Lost is set.
type Event struct {
	Applied   Applied
	By        Author
	Workspace *Workspace // renamed: its newest state
	Gone      bool       // deleted
	Lost      bool       // there were events that this watcher did not get, or may have been: look at everything again
}

// watchBuffer is how many events a watcher may be behind.
const watchBuffer = 256

// watchers hands events to whoever watches a workspace, and never waits for any of them. It holds one entry per watcher, whose
// number the callers bound.
type watchers struct {
	mu sync.Mutex
	of map[uuid.UUID]map[*watcher]struct{}
}

type watcher struct {
	events chan Event // of watchBuffer events and one Lost
	lost   bool       // the last thing that was put into events is Lost
}

// Watch returns the events of a workspace from now on, in the order of the commits, and a function that ends and closes them.
// It checks no rights. A watcher that is 256 events behind gets those, and then Lost in place of all that came until it took
// some. Changes made by another server on the same database are not among the events.
func (s *Service) Watch(ws uuid.UUID) (events <-chan Event, stop func()) {
	return s.watchers.watch(ws)
}

func (w *watchers) watch(ws uuid.UUID) (<-chan Event, func()) {
	one := &watcher{events: make(chan Event, watchBuffer+1)}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[uuid.UUID]map[*watcher]struct{}{}
	}
	if w.of[ws] == nil {
		w.of[ws] = map[*watcher]struct{}{}
	}
	w.of[ws][one] = struct{}{}
	return one.events, sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[ws], one)
		if len(w.of[ws]) == 0 {
			delete(w.of, ws)
		}
		close(one.events) // nobody sends any more: publish holds the lock
	})
}

// publish is called after the commit, so that a watcher who looks at everything again because of Lost sees all that was dropped
// before it took Lost.
func (w *watchers) publish(ws uuid.UUID, e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for one := range w.of[ws] {
		one.put(e)
	}
}

// put never blocks: only it sends, one at a time, so that there can only be more room than it sees.
func (w *watcher) put(e Event) {
	switch {
	case len(w.events) < watchBuffer:
		w.events <- e
		w.lost = e.Lost
	case !w.lost:
		w.events <- Event{Lost: true}
		w.lost = true
	}
}

// locks has one lock for each workspace that is being changed.
type locks struct {
	mu sync.Mutex
	of map[uuid.UUID]*lock
}

type lock struct {
	held  chan struct{} // full while somebody holds it
	users int           // who hold it or wait for it
}

// lock waits for the workspace's lock. The caller must call unlock.
func (l *locks) lock(ctx context.Context, ws uuid.UUID) (unlock func(), err error) {
	l.mu.Lock()
	if l.of == nil {
		l.of = map[uuid.UUID]*lock{}
	}
	one := l.of[ws]
	if one == nil {
		one = &lock{held: make(chan struct{}, 1)}
		l.of[ws] = one
	}
	one.users++
	l.mu.Unlock()

	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(l.of, ws)
		}
	}
	select {
	case one.held <- struct{}{}:
		return func() { <-one.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The workspace is busy. Try again in a moment.")
	}
}
