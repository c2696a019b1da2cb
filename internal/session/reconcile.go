package session

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

const (
	reconcileEvery = time.Minute
	// orphanGrace is how old a sandbox must be before it is removed because no session wants it, while the server runs:
	// another server of the installation may be about to note it.
	orphanGrace = 2 * time.Minute
)

// Recover finds the sandboxes that an earlier server of this installation left, goes on with those whose sessions are
// live, and removes the others. A session whose sandbox is gone is ended with a reason. From then on it looks again every
// minute.
func (s *Service) Recover(ctx context.Context) error {
	if err := s.reconcile(ctx, 0); err != nil {
		return err
	}
	s.wg.Go(s.renewLeases)
	s.wg.Go(s.keepReconciled)
	return nil
}

func (s *Service) keepReconciled() {
	// Soon after the start once more: PostgreSQL may take a moment to notice that the server before this one is dead.
	wait := time.Second
	for ; pause(s.base, wait); wait = min(4*wait, reconcileEvery) {
		ctx, cancel := context.WithTimeout(s.base, removeTimeout)
		if err := s.reconcile(ctx, orphanGrace); err != nil && s.base.Err() == nil {
			s.cfg.Log.Warn("cannot compare sessions and sandboxes", "err", err)
		}
		cancel()
	}
}

// reconcile takes over the sessions that nobody owns, and removes sandboxes that no session wants once they are older than
// the grace.
func (s *Service) reconcile(ctx context.Context, grace time.Duration) error {
	found, err := s.cfg.Driver.List(ctx)
	if err != nil {
		return err
	}
	sessions, err := s.cfg.Store.TakeSessions(ctx, s.cfg.Server, s.cfg.Lease)
	if err != nil {
		return err
	}
	running := map[string]bool{}
	for _, instance := range found {
		running[instance.ID] = instance.State == sandbox.Running
	}
	for _, one := range sessions {
		if s.find(one.WorkspaceID) != nil {
			continue // this server is at it already
		}
		if one.State != Starting && running[one.ID.String()] {
			l := newLive(s, one)
			if s.claim(l) {
				s.wg.Go(l.adopt)
			}
			continue
		}
		reason := "The sandbox was gone when the server came back. Your files are safe; what was only in its memory is lost."
		if one.State == Starting {
			reason = "The server stopped while the sandbox was starting."
		}
		if _, err := s.cfg.Store.SetState(ctx, one.ID, s.cfg.Server, Ended, reason); err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
		s.watchers.changed(one.WorkspaceID)
	}
	for _, instance := range found {
		if wanted, err := s.wants(ctx, instance, grace); err != nil {
			return err
		} else if wanted {
			continue
		}
		s.cfg.Log.Info("removing a sandbox without a session", "sandbox", instance.ID)
		s.wg.Go(func() {
			ctx, cancel := context.WithTimeout(s.base, removeTimeout)
			defer cancel()
			if err := s.cfg.Driver.Remove(ctx, instance.ID); err != nil {
				s.cfg.Log.Warn("cannot remove a sandbox", "sandbox", instance.ID, "err", err)
			}
		})
	}
	return nil
}

// wants reports whether a sandbox has a live session, here or on another server, or may be about to have one.
func (s *Service) wants(ctx context.Context, instance sandbox.Instance, grace time.Duration) (bool, error) {
	if instance.Workspace == "" { // warm: this server's pool knows its own, and one that is being made or claimed is young
		return s.cfg.Pool != nil && s.cfg.Pool.Holds(instance.ID) || grace > 0 && time.Since(instance.Created) < grace, nil
	}
	ws, err := uuid.Parse(instance.Workspace)
	if err != nil {
		return false, nil // not a workspace's: nothing will ever want it
	}
	if s.find(ws) != nil || grace > 0 && time.Since(instance.Created) < grace {
		return true, nil
	}
	one, err := s.cfg.Store.LiveSession(ctx, ws)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil && one.ID.String() == instance.ID, err
}

// claim makes l the live session of its workspace, unless there is one.
func (s *Service) claim(l *live) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[l.workspace] != nil || s.base.Err() != nil {
		return false
	}
	s.live[l.workspace] = l
	return true
}

// EndAll ends every session of this server, for a machine that is to be switched off. It waits for them.
func (s *Service) EndAll(ctx context.Context, reason string) error {
	s.mu.Lock()
	var all []*live
	for _, l := range s.live {
		all = append(all, l)
	}
	s.mu.Unlock()
	for _, l := range all {
		l.end(reason)
	}
	for _, l := range all {
		select {
		case <-l.ended:
		case <-ctx.Done():
			return fault.Wrap(ctx.Err(), fault.Timeout, "Some sessions are still ending.")
		}
	}
	return nil
}

// offer adds to a quota that is used up which of the user's own sessions has been idle the longest.
func (s *Service) offer(err error, user uuid.UUID) error {
	over, ok := errors.AsType[*Over](err)
	if !ok || over.Quota != "user" {
		return err
	}
	s.mu.Lock()
	var oldest *live
	for _, l := range s.live {
		one := l.current()
		if one.StartedBy == user && one.State == Running && (oldest == nil || l.activeLast().Before(oldest.activeLast())) {
			oldest = l
		}
	}
	s.mu.Unlock()
	if oldest == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, callTimeout)
	defer cancel()
	ws, getErr := s.cfg.Files.Get(ctx, auth.Principal{UserID: user}, oldest.workspace)
	if getErr != nil {
		return err
	}
	return fault.Wrap(err, fault.Exhausted, "You have %d live sessions, as many as one account may have. End one first: that of “%s” has been idle the longest.",
		over.Bound, ws.Name)
}
