package session

import (
	"context"

	"vivarium/internal/sandbox"
)

// takeWarm returns a sandbox of the pool, if the server has a pool and there is one.
func (l *live) takeWarm() (sandbox.Warm, bool) {
	if l.service.cfg.Pool == nil {
		return sandbox.Warm{}, false
	}
	return l.service.cfg.Pool.Take()
}

// obtain gets the session its sandbox with a connected agent: the warm one, which has the session's id, or else a new one.
func (l *live) obtain(ctx context.Context, spec sandbox.Spec, warm sandbox.Warm, pooled bool) error {
	cfg := l.service.cfg
	if pooled {
		err := cfg.Pool.Claim(ctx, warm, spec.Workspace)
		if err == nil {
			err = l.connect(ctx, warm.Stream)
		}
		if err == nil {
			return nil
		}
		l.log.Warn("a warm sandbox cannot be used; a new one is made", "sandbox", warm.ID, "err", err)
		cfg.Pool.Discard(warm)
	}
	if err := cfg.Driver.Create(ctx, spec); err != nil {
		return err
	}
	return l.dial(ctx)
}
