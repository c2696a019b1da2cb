package httpapi

import (
	"context"
	"sync"
	"time"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

// noteDenial writes an audit event for a request that was refused: a known caller who may not, or somebody who tried a
// password or a token.
func (a *API) noteDenial(ctx context.Context, rt route, err error) {
	kind := fault.KindOf(err)
	if kind != fault.Forbidden && !(kind == fault.Unauthenticated && rt.auditFailures) {
		return
	}
	action := rt.deniedAction
	if action == "" {
		action = "http." + rt.id
	}
	a.auditDenial(ctx, principalOf(ctx), action, rt.method+" "+rt.path)
}

// auditDenial appends a denial. Strangers can cause them, so their rate is bounded: beyond it they are only logged.
func (a *API) auditDenial(ctx context.Context, p auth.Principal, action, object string) {
	a.log.WarnContext(ctx, "denied", "request", requestOf(ctx).ID, "action", action, "object", object, "user", p.UserID,
		"address", requestOf(ctx).Address)
	if !a.denials.take(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quick)
	defer cancel()
	event := audit.Event{Actor: p.UserID, Action: action, Object: object, Outcome: audit.Denied, Origin: audit.OriginOf(ctx)}
	if err := a.cfg.Audit.Append(ctx, event); err != nil {
		a.log.ErrorContext(ctx, "cannot write the audit event of a denial", "request", requestOf(ctx).ID, "err", err)
	}
}

// bucket is a token bucket: rate a second on average, size at once.
type bucket struct {
	mu         sync.Mutex
	rate, size float64
	level      float64
	at         time.Time
}

func newBucket(rate, size float64) *bucket { return &bucket{rate: rate, size: size, level: size} }

// take takes one token and reports whether there was one.
func (b *bucket) take(now time.Time) bool { return b.wait(now, 1) == 0 }

// wait takes n tokens and returns 0, or takes none and returns how long it is until there are so many.
func (b *bucket) wait(now time.Time, n float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.level = min(b.size, b.level+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.level >= n {
		b.level -= n
		return 0
	}
	return time.Duration((n - b.level) / b.rate * float64(time.Second))
}

// calm reports whether at least half of the tokens are there.
func (b *bucket) calm() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.level >= b.size/2
}
