package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"unicode"

	"github.com/google/uuid"

	"vivarium/internal/audit"
	"vivarium/internal/postgres/sqlcgen"
)

// What an audit event may hold, so that nobody can fill the log or hide lines in it. The schema has the same bounds.
const (
	maxAuditAction  = 100
	maxAuditObject  = 400
	maxAuditRequest = 200
	maxAuditAddress = 64
	maxAuditValue   = 1024
)

// Append writes an event that belongs to no other change.
func (db *DB) Append(ctx context.Context, e audit.Event) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error { return t.audit(ctx, e) })
}

// audit appends an event to the transaction. It must be the transaction's last statement: the row that gives events their
// numbers stays locked until the commit, and all audited transactions queue up for it.
func (t *txn) audit(ctx context.Context, e audit.Event) error {
	if e.Outcome == "" {
		e.Outcome = audit.Done
	}
	if e.Origin == (audit.Origin{}) {
		e.Origin = audit.OriginOf(ctx)
	}
	detail := make(map[string]string, len(e.Detail))
	for name, value := range e.Detail {
		detail[plain(name, maxAuditAction)] = plain(value, maxAuditValue)
	}
	encoded, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	return t.AppendAuditEvent(ctx, sqlcgen.AppendAuditEventParams{
		Actor:     optional(e.Actor),
		Action:    plain(e.Action, maxAuditAction),
		Object:    plain(e.Object, maxAuditObject),
		Outcome:   string(e.Outcome),
		Detail:    encoded,
		RequestID: plain(e.Origin.RequestID, maxAuditRequest),
		Address:   plain(e.Origin.Address, maxAuditAddress),
	})
}

// plain returns s as UTF-8 without control characters, cut to at most limit bytes.
func plain(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return s
}

// optional returns NULL for the zero UUID.
func optional(id uuid.UUID) uuid.NullUUID { return uuid.NullUUID{UUID: id, Valid: id != uuid.Nil} }
