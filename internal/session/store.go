package session

import (
	"context"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
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
	Record      Record
}

// Quota bounds how many sessions may be live or begin. A zero field is no bound.
type Quota struct {
	PerUser         int // live, started by one user
	Total           int // live, in all
	StartsPerMinute int // of one user
}

// Over is a quota that is used up. It unwraps to a fault of kind Exhausted.
type Over struct {
	Quota string // "user", "total" or "starts"
	Bound int
}

func (o *Over) Error() string { return o.Unwrap().Error() }

// Unwrap returns a fault with a sentence for the person who wanted to start a session.
func (o *Over) Unwrap() error {
	switch o.Quota {
	case "user":
		return fault.New(fault.Exhausted, "You have %d live sessions, as many as one account may have. End one of them first.", o.Bound)
	case "starts":
		return fault.New(fault.Exhausted, "You have started %d sessions within a minute, as many as one account may. Wait a little.", o.Bound).After(time.Minute)
	default:
		return fault.New(fault.Exhausted, "All %d places for sessions on this installation are taken. Try again later.", o.Bound).After(time.Minute)
	}
}

// Store keeps sessions. Times and leases are decided by the database's clock. A change made with a lease that another
// server has taken fails with Conflict.
type Store interface {
	// CreateSession makes a session with the id, in state starting, owned by the server for the lease's length. Conflict when the
	// workspace has a live session already, and an *Over when a quota is used up.
	CreateSession(ctx context.Context, id, workspace, startedBy, server uuid.UUID, lease time.Duration, quota Quota) (Session, error)
	// LiveSession returns the workspace's live session, or NotFound.
	LiveSession(ctx context.Context, workspace uuid.UUID) (Session, error)
	// LastSession returns the newest session of the workspace, live or ended, or NotFound.
	LastSession(ctx context.Context, workspace uuid.UUID) (Session, error)
	// TakeSessions returns all live sessions that the server owns or that nobody owns any more, after taking the latter over.
	TakeSessions(ctx context.Context, server uuid.UUID, lease time.Duration) ([]Session, error)
	// SetState changes the state of a session that the server owns; with Ended it also frees the lease and forgets the replica's base.
	SetState(ctx context.Context, id, server uuid.UUID, state State, reason string) (Session, error)
	// SetRecord replaces the record of a live session that the server owns.
	SetRecord(ctx context.Context, id, server uuid.UUID, record Record) error
	// RenewLease prolongs the leases of all live sessions of the server.
	RenewLease(ctx context.Context, server uuid.UUID, lease time.Duration) error
}
