package sandbox

import (
	"context"
	"sync"

	"vivarium/internal/fault"
)

// Locks are a lock per key, for drivers: one change of a sandbox or a home at a time. The zero value is ready.
type Locks struct {
	mu    sync.Mutex
	locks map[string]*keyLock
}

type keyLock struct {
	held  chan struct{} // full while somebody holds the lock
	users int           // holders and waiters; the lock is forgotten with the last
}

// Lock waits for the key's lock, no longer than the context lives: then it fails with Timeout. unlock must be called once.
func (k *Locks) Lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	l := k.locks[key]
	if l == nil {
		if k.locks == nil {
			k.locks = map[string]*keyLock{}
		}
		l = &keyLock{held: make(chan struct{}, 1)}
		k.locks[key] = l
	}
	l.users++
	k.mu.Unlock()
	leave := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		l.users--
		if l.users == 0 {
			delete(k.locks, key)
		}
	}
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The sandbox is busy. Try again in a moment.")
	}
}
