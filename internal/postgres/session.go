package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/audit"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/session"
)

// sessionStartLock is the advisory lock of starting sessions under a quota: "sessions" as a number.
const sessionStartLock int64 = 0x73657373696f6e73

// maxReason bounds a session's reason in bytes; longer text is cut.
const maxReason = 4096

// CreateSession implements session.Store.
func (db *DB) CreateSession(ctx context.Context, id, workspace, startedBy, server uuid.UUID, lease time.Duration, quota session.Quota) (session.Session, error) {
	var one session.Session
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		if err := t.checkQuota(ctx, startedBy, quota); err != nil {
			return err
		}
		row, err := t.InsertSession(ctx, sqlcgen.InsertSessionParams{ID: id, WorkspaceID: workspace, StartedBy: startedBy,
			Server: server, Lease: lease})
		switch {
		case violates(err, "sessions_live"):
			return fault.Wrap(err, fault.Conflict, "The workspace has a live session already.")
		case violates(err, "sessions_workspace_id_fkey"):
			return noWorkspace(err)
		case err != nil:
			return err
		}
		one = sessionOf(row)
		return t.audit(ctx, audit.Event{Actor: startedBy, Action: "session.start", Object: "session:" + id.String(),
			Detail: map[string]string{"workspace": workspace.String()}})
	})
	return one, err
}

// checkQuota counts under a lock that nobody else starts a session under.
func (t *txn) checkQuota(ctx context.Context, user uuid.UUID, q session.Quota) error {
	if q == (session.Quota{}) {
		return nil
	}
	if err := t.LockSessionStarts(ctx, sessionStartLock); err != nil {
		return err
	}
	n, err := t.CountSessions(ctx, user)
	switch {
	case err != nil:
		return err
	case q.PerUser > 0 && n.OfUser >= int64(q.PerUser):
		return &session.Over{Quota: "user", Bound: q.PerUser}
	case q.StartsPerMinute > 0 && n.Starts >= int64(q.StartsPerMinute):
		return &session.Over{Quota: "starts", Bound: q.StartsPerMinute}
	case q.Total > 0 && n.Total >= int64(q.Total):
		return &session.Over{Quota: "total", Bound: q.Total}
	}
	return nil
}

// SetRecord implements session.Store.
func (db *DB) SetRecord(ctx context.Context, id, server uuid.UUID, record session.Record) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		changed, err := t.SetSessionRecord(ctx, sqlcgen.SetSessionRecordParams{ID: id, Server: server, Record: text})
		if err == nil && changed == 0 {
			return fault.New(fault.Conflict, "The session has ended, or another server has taken it over.")
		}
		return err
	})
}

// LiveSession implements session.Store.
func (db *DB) LiveSession(ctx context.Context, workspace uuid.UUID) (session.Session, error) {
	var row sqlcgen.Session
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.LiveSession(ctx, workspace)
		return found(err, "The workspace has no live session.")
	})
	return sessionOf(row), err
}

// LastSession implements session.Store.
func (db *DB) LastSession(ctx context.Context, workspace uuid.UUID) (session.Session, error) {
	var row sqlcgen.Session
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.NewestSession(ctx, workspace)
		return found(err, "The workspace has had no session.")
	})
	return sessionOf(row), err
}

// TakeSessions implements session.Store. Nobody owns a session any more whose lease has run out, that ReleaseLeases has let
// go, or whose server is known to be dead, because it does not hold its lock any more (see HoldServer).
func (db *DB) TakeSessions(ctx context.Context, server uuid.UUID, lease time.Duration) ([]session.Session, error) {
	var sessions []session.Session
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		others, err := t.OtherServers(ctx, server)
		if err != nil {
			return err
		}
		var dead []uuid.UUID
		for _, other := range others {
			// The lock is ours until the commit: a server that comes back waits, and finds that its sessions are taken.
			free, err := t.TryServerLock(ctx, serverKey(other))
			if err != nil {
				return err
			}
			if free {
				dead = append(dead, other)
			}
		}
		rows, err := t.TakeSessions(ctx, sqlcgen.TakeSessionsParams{Server: server, Lease: lease, Dead: dead})
		if err != nil {
			return err
		}
		sessions = make([]session.Session, len(rows))
		for i, row := range rows {
			sessions[i] = sessionOf(row)
		}
		return nil
	})
	return sessions, err
}

// SetState implements session.Store.
func (db *DB) SetState(ctx context.Context, id, server uuid.UUID, state session.State, reason string) (session.Session, error) {
	reason = plain(reason, maxReason)
	var one session.Session
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		row, err := t.LockSession(ctx, id)
		if err := found(err, "No such session."); err != nil {
			return err
		}
		if row.State == string(session.Ended) {
			return fault.New(fault.Conflict, "The session has ended already.")
		}
		if row.Server.UUID != server {
			return takenOver()
		}
		if state != session.Ended {
			row, err = t.SetSessionState(ctx, sqlcgen.SetSessionStateParams{ID: id, State: string(state), Reason: reason})
			one = sessionOf(row)
			return err
		}
		if err := t.ForgetAllBase(ctx, id); err != nil {
			return err
		}
		row, err = t.EndSession(ctx, sqlcgen.EndSessionParams{ID: id, Reason: reason})
		if err != nil {
			return err
		}
		one = sessionOf(row)
		return t.audit(ctx, audit.Event{Action: "session.end", Object: "session:" + id.String(),
			Detail: map[string]string{"workspace": row.WorkspaceID.String(), "reason": reason}})
	})
	return one, err
}

// RenewLease implements session.Store.
func (db *DB) RenewLease(ctx context.Context, server uuid.UUID, lease time.Duration) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		return t.RenewLeases(ctx, sqlcgen.RenewLeasesParams{Server: server, Lease: lease})
	})
}

// ReleaseLeases lets go of all live sessions of the server, so that another one can take them at once. For a graceful stop.
func (db *DB) ReleaseLeases(ctx context.Context, server uuid.UUID) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error { return t.ReleaseLeases(ctx, server) })
}

// fence refuses what a session writes after its end, or after another server has taken it over, and keeps both from
// happening until the transaction ends.
func (db *DB) fence(ctx context.Context, t *txn, id uuid.UUID) error {
	server, err := t.SessionFence(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.Conflict, "The session has ended.")
	}
	if err != nil {
		return err
	}
	return db.checkOwner(server)
}

func (db *DB) checkOwner(server uuid.NullUUID) error {
	if held := db.held.Load(); held != nil && server.UUID != *held {
		return takenOver()
	}
	return nil
}

func takenOver() error {
	return fault.New(fault.Conflict, "Another server has taken over this session.")
}

func sessionOf(row sqlcgen.Session) session.Session {
	var record session.Record
	// What this package wrote itself; a record that cannot be read is no reason to lose the session.
	_ = json.Unmarshal(row.Record, &record)
	return session.Session{Record: record, ID: row.ID, WorkspaceID: row.WorkspaceID, StartedBy: row.StartedBy, State: session.State(row.State),
		Reason: row.Reason, CreatedAt: row.CreatedAt, EndedAt: row.EndedAt}
}
