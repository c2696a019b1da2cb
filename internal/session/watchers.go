package session

import (
	"sync"

	"github.com/google/uuid"
)

// watchers tells the pages of a workspace that its View changed. It carries no content: whoever is told asks for the View,
// so that nothing can be lost or queue up.
type watchers struct {
	mu sync.Mutex
	of map[uuid.UUID]map[chan struct{}]struct{}
}

func (w *watchers) watch(workspace uuid.UUID) (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.of == nil {
		w.of = map[uuid.UUID]map[chan struct{}]struct{}{}
	}
	if w.of[workspace] == nil {
		w.of[workspace] = map[chan struct{}]struct{}{}
	}
	w.of[workspace][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.of[workspace], c)
		if len(w.of[workspace]) == 0 {
			delete(w.of, workspace)
		}
	}
}

// count returns how many pages watch the workspace.
func (w *watchers) count(workspace uuid.UUID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.of[workspace])
}

func (w *watchers) changed(workspace uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.of[workspace] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
