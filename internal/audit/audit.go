// Package audit says what an audit event is. Events are written by the stores in the transaction of the change that they
// record, so that neither can exist without the other. An event must never hold a secret or a file's content.
package audit

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Outcome is how an action ended.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Denied Outcome = "denied"
)

// Event is one security-relevant action.
type Event struct {
	Seq     int64 // given by the database, without a gap
	At      time.Time
	Actor   uuid.UUID // zero: nobody, or the server itself
	Action  string    // a dotted verb, such as "workspace.create"
	Object  string    // what it was done to: a kind and an id, such as "workspace:0191…"
	Outcome Outcome
	Detail  map[string]string // small facts, safe to show to administrators
	Origin  Origin
}

// Origin is where a request came from.
type Origin struct {
	RequestID string
	Address   string // of the client, without a port
}

type originKey struct{}

// WithOrigin returns a context that carries the request's origin.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of the request that ctx belongs to; zero for work of the server's own.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// Store appends events that belong to no other change, such as denials.
type Store interface {
	Append(ctx context.Context, e Event) error
}
