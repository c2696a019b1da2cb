package auth

import (
	"context"
	"math"
	"net/netip"
	"strings"
	"sync"
	"time"

	"vivarium/internal/fault"
)

// pace is how many misses are let through at once, and how long it takes until one more is.
type pace struct {
	burst float64
	drain time.Duration
}

// The paces of logins. One person at one place gets 10 misses in a quarter of an hour; one place, with all its people, 10
// misses in a minute.
var (
	personPace  = pace{burst: 10, drain: 90 * time.Second}
	addressPace = pace{burst: 10, drain: 6 * time.Second}
)

const (
	maxBuckets = 100_000 // about 20 MB
	maxWaiters = 1_000
)

// throttle counts misses in leaky buckets, and refuses attempts while a bucket is full. A bucket belongs to a name at an
// address, or to an address. There is none for a name alone, so that nobody can lock an account's owner, who is at
// another address, out of it.
//
// What it does not do: it is in the memory of one server, so it is empty after a restart and is not shared by servers on one
// database, each of which allows the full pace; and it does not slow a guesser who has very many addresses, whom only the length
// of the password stops.
type throttle struct {
	mu      sync.Mutex
	buckets map[string]*bucket
	waiters int
	settled chan struct{} // closed, and made anew, when an attempt has ended
}

type bucket struct {
	pace
	level   float64 // misses that have not drained
	at      time.Time
	pending int // attempts whose end is not known; they count, so that many at once are no way round
}

func newThrottle() *throttle {
	return &throttle{buckets: map[string]*bucket{}, settled: make(chan struct{})}
}

// loginKeys returns the buckets of a login.
func loginKeys(username, address string) map[string]pace {
	place := placeOf(address)
	return map[string]pace{
		"person " + strings.ToLower(username) + " " + place: personPace,
		"address " + place: addressPace,
	}
}

// passwordKeys returns the bucket of somebody who is logged in and has to repeat the password.
func passwordKeys(user string) map[string]pace { return map[string]pace{"user " + user: personPace} }

// placeOf returns what counts as one address: of IPv6 the first 64 bits, which one subscriber has for itself.
func placeOf(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if ip = ip.Unmap(); ip.Is6() {
		if prefix, err := ip.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}

// do makes an attempt, and waits before it while the ends of others decide whether it may be made. try says whether it was a
// miss. Exhausted, with the time after which to try again, while a bucket is full.
func (t *throttle) do(ctx context.Context, keys map[string]pace, try func() (miss bool, err error)) error {
	for {
		settled, err := t.begin(keys)
		if err != nil {
			return err
		}
		if settled == nil {
			break
		}
		select {
		case <-settled:
		case <-ctx.Done():
		}
		t.mu.Lock()
		t.waiters--
		t.mu.Unlock()
		if ctx.Err() != nil {
			return fault.Wrap(ctx.Err(), fault.Timeout, "The server did not get to it in time. Try again.")
		}
	}
	miss := false
	defer func() { t.end(keys, miss) }()
	var err error
	miss, err = try()
	return err
}

// begin marks an attempt as under way. When others under way may still fill a bucket, it returns what to wait for instead.
func (t *throttle) begin(keys map[string]pace) (settled <-chan struct{}, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait, undecided := t.look(keys)
	switch {
	case wait > 0:
		return nil, fault.New(fault.Exhausted, "Too many failed attempts. Try again in a moment.").After(wait)
	case undecided && t.waiters >= maxWaiters:
		return nil, errBusy()
	case undecided:
		t.waiters++
		return t.settled, nil
	}
	for key, p := range keys {
		t.bucket(key, p).pending++
	}
	return nil, nil
}

// look returns how long the fullest of the buckets refuses, and whether attempts under way may still fill one.
func (t *throttle) look(keys map[string]pace) (wait time.Duration, undecided bool) {
	now := time.Now()
	for key := range keys {
		b := t.buckets[key]
		if b == nil {
			continue
		}
		b.leak(now)
		if over := b.level - (b.burst - 1); over > 0 {
			wait = max(wait, time.Duration(math.Ceil(over*float64(b.drain))))
		} else if b.level+float64(b.pending) > b.burst-1 {
			undecided = true
		}
	}
	return wait, undecided
}

func (b *bucket) leak(now time.Time) {
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.level = max(0, b.level-float64(elapsed)/float64(b.drain))
	}
	b.at = now
}

func (t *throttle) bucket(key string, p pace) *bucket {
	b := t.buckets[key]
	if b == nil {
		if len(t.buckets) >= maxBuckets {
			t.makeRoom()
		}
		b = &bucket{pace: p, at: time.Now()}
		t.buckets[key] = b
	}
	return b
}

// makeRoom forgets the buckets that have drained, and any others when that is too little.
func (t *throttle) makeRoom() {
	now := time.Now()
	for key, b := range t.buckets {
		if b.leak(now); b.level == 0 && b.pending == 0 {
			delete(t.buckets, key)
		}
	}
	for key, b := range t.buckets {
		if len(t.buckets) < maxBuckets-maxBuckets/10 {
			return
		}
		if b.pending == 0 {
			delete(t.buckets, key)
		}
	}
}

func (t *throttle) end(keys map[string]pace, miss bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for key := range keys {
		b := t.buckets[key] // there, since it is pending
		b.pending--
		b.leak(now)
		switch {
		case miss:
			b.level++
		case b.level == 0 && b.pending == 0:
			delete(t.buckets, key)
		}
	}
	close(t.settled)
	t.settled = make(chan struct{})
}
