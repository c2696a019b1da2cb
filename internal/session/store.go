package session

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// State is where a session is in its life.
type State string

// The states. A session in one of the first three is live; a workspace has at most one live session.
const (
	Starting State = "starting"
	Running  State = "running"
	Ending   State = "ending"
	Ended    State = "ended"
)

// Session is one run of a workspace's sandbox.
type Session struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	StartedBy   uuid.UUID // user
	State       State
	Reason      string // why it ended or is ending, in words for its people; empty while it runs
	CreatedAt   time.Time
	EndedAt     *time.Time
}

// Store keeps sessions. Times and leases are decided by the database's clock. A change made with a lease that another
// server has taken fails with Conflict.
type Store interface {
	// CreateSession makes a session in state starting, owned by the server for the lease's length. Conflict when the
	// workspace has a live session already.
	CreateSession(ctx context.Context, workspace, startedBy, server uuid.UUID, lease time.Duration) (Session, error)
	// LiveSession returns the workspace's live session, or NotFound.
	LiveSession(ctx context.Context, workspace uuid.UUID) (Session, error)
	// LastSession returns the newest session of the workspace, live or ended, or NotFound.
	LastSession(ctx context.Context, workspace uuid.UUID) (Session, error)
	// LiveSessions returns all live sessions that the server owns or that nobody owns any more, after taking the latter over.
	TakeSessions(ctx context.Context, server uuid.UUID, lease time.Duration) ([]Session, error)
	// SetState changes the state of a session that the server owns; with Ended it also frees the lease and forgets the replica's base.
	SetState(ctx context.Context, id, server uuid.UUID, state State, reason string) (Session, error)
	// RenewLease prolongs the leases of all live sessions of the server.
	RenewLease(ctx context.Context, server uuid.UUID, lease time.Duration) error
}
