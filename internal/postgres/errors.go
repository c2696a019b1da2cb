package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"

	"vivarium/internal/fault"
)

// SQLSTATEs that mean something to us: https://www.postgresql.org/docs/current/errcodes-appendix.html
const (
	stateUniqueViolation      = "23505"
	stateForeignKeyViolation  = "23503"
	stateSerializationFailure = "40001"
	stateDeadlock             = "40P01"
	stateLockNotAvailable     = "55P03"
	stateQueryCanceled        = "57014"
	stateReadOnly             = "25006"
	stateBadCharacter         = "22021"
	stateUntranslatable       = "22P05"
	stateUndefinedTable       = "42P01"
	stateIdleInTransaction    = "25P03"
)

// retryIn is what a caller is told when the database is down: it is back within seconds.
const retryIn = 2 * time.Second

// translate makes a fault of what went wrong with the database. Faults pass as they are; what is a mistake of ours stays an
// error without a kind, which is logged and not shown. ctx is the caller's: who runs out of time there learns that, while our
// own limits mean that the database is too slow.
func translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if _, ok := errors.AsType[*SchemaError](err); ok {
		return err
	}
	if ctx.Err() != nil {
		return fault.Wrap(err, fault.Timeout, "The request ended before the database had answered.")
	}
	switch {
	case errors.Is(err, errBusy):
		return fault.Wrap(err, fault.Unavailable, "The database is busy. Try again in a moment.").After(retryIn)
	case errors.Is(err, context.DeadlineExceeded), stateOf(err) == stateQueryCanceled:
		return fault.Wrap(err, fault.Unavailable, "The database did not answer in time. Try again in a moment.").After(retryIn)
	case connectionLost(err):
		return fault.Wrap(err, fault.Unavailable, "The database cannot be reached. Try again in a moment.").After(retryIn)
	case stateOf(err) == stateUniqueViolation:
		return fault.Wrap(err, fault.Conflict, "Somebody else made the same thing at the same time.")
	case retryable(err), stateOf(err) == stateLockNotAvailable:
		return fault.Wrap(err, fault.Unavailable, "Too many changes at once. Try again in a moment.").After(retryIn)
	case stateOf(err) == stateBadCharacter, stateOf(err) == stateUntranslatable:
		return fault.Wrap(err, fault.Invalid, "The text has a character that cannot be stored.")
	case strings.HasPrefix(stateOf(err), "53"), stateOf(err) == stateReadOnly:
		return fault.Wrap(err, fault.Unavailable, "The database cannot store anything at the moment; its disk or memory may be full.").After(10 * retryIn)
	}
	return err
}

// stateOf returns the SQLSTATE of an error that the database sent, else nothing.
func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// violates reports whether err says that a constraint or a unique index with the name refused a row.
func violates(err error, name string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.ConstraintName == name
}

// connectionLost reports whether there is no connection (any more): the database is down, starting, stopping or full.
func connectionLost(err error) bool {
	if state := stateOf(err); state != "" {
		// Class 08 is trouble with the connection, 57P0x a database that stops or starts, 53300 too many connections.
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") || state == "53300" || state == stateIdleInTransaction
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, puddle.ErrClosedPool) || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}

// retryable reports whether a transaction that failed with err did nothing and may go through when it is tried again.
func retryable(err error) bool {
	if before, ok := errors.AsType[notBegun](err); ok {
		return connectionLost(before.error)
	}
	state := stateOf(err)
	return state == stateSerializationFailure || state == stateDeadlock
}
