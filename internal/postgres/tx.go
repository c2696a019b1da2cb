package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
)

// maxAttempts bounds how often a transaction is tried that the database refused to serialise, or could not begin.
const maxAttempts = 5

// txn is one transaction: typed queries, and the connection for what is sent together.
type txn struct {
	*sqlcgen.Queries
	conn pgx.Tx
}

type inTx struct{}

var errNested = errors.New("postgres: a transaction within a transaction")

// notBegun marks an error from before a transaction began: nothing was done, so that trying again is safe.
type notBegun struct{ error }

func (e notBegun) Unwrap() error { return e.error }

// tx runs fn in a transaction and commits it when fn returns nil. An error or a panic of fn rolls back. Where the database
// could not serialise it, and where it could not begin because a pooled connection was dead, fn runs again, so that it must set
// whatever it hands out anew. The context that fn gets cannot begin another transaction.
func (db *DB) tx(ctx context.Context, limit time.Duration, fn func(ctx context.Context, t *txn) error) error {
	if ctx.Value(inTx{}) != nil {
		return errNested
	}
	return db.bounded(ctx, limit, func(ctx context.Context) error {
		for attempt := 1; ; attempt++ {
			err := db.transact(ctx, limit, fn)
			if err == nil || !retryable(err) || attempt == maxAttempts || !pause(ctx, backoff(attempt)) {
				return err
			}
		}
	})
}

func (db *DB) transact(ctx context.Context, limit time.Duration, fn func(ctx context.Context, t *txn) error) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return notBegun{err}
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		// Also when the caller has gone or fn panics: the connection goes back to the pool, and must be out of the transaction.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) && !connectionLost(err) {
			db.log.Warn("cannot roll back a transaction", "err", err)
		}
	}()
	if limit > statementTimeout {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = "+milliseconds(limit)); err != nil {
			return err
		}
	}
	if err := fn(context.WithValue(ctx, inTx{}, true), &txn{Queries: sqlcgen.New(tx), conn: tx}); err != nil {
		return err
	}
	// From here on the outcome may be unknown when the connection is lost, so that nothing is tried again.
	committed = true
	return tx.Commit(ctx)
}

// read runs fn on one connection without a transaction. It runs again when the connection was lost; fn must only read.
func (db *DB) read(ctx context.Context, fn func(ctx context.Context, q *sqlcgen.Queries) error) error {
	if ctx.Value(inTx{}) != nil {
		return errNested
	}
	return db.bounded(ctx, ordinaryLimit, func(ctx context.Context) error {
		for attempt := 1; ; attempt++ {
			err := db.once(ctx, fn)
			if err == nil || !connectionLost(err) || attempt == maxAttempts || !pause(ctx, backoff(attempt)) {
				return err
			}
		}
	})
}

// once runs fn on one connection, where each statement is a transaction of its own.
func (db *DB) once(ctx context.Context, fn func(ctx context.Context, q *sqlcgen.Queries) error) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return fn(ctx, sqlcgen.New(conn))
}

// errBusy says that no connection became free in time.
var errBusy = errors.New("postgres: no free connection")

func (db *DB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, acquireTimeout)
	defer cancel()
	conn, err := db.pool.Acquire(wait)
	if err != nil && ctx.Err() == nil && wait.Err() != nil {
		return nil, errBusy
	}
	if err != nil {
		return nil, notBegun{err}
	}
	return conn, nil
}

// bounded runs fn for at most limit and translates its error. It is the limit that saves callers from a network that
// swallows everything.
func (db *DB) bounded(ctx context.Context, limit time.Duration, fn func(ctx context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return translate(ctx, fn(within))
}

func backoff(attempt int) time.Duration {
	step := 5 * time.Millisecond << (2 * (attempt - 1)) // 5, 20, 80, 320 ms
	return step/2 + rand.N(step)
}

// pause waits for d and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// found returns a NotFound fault with the message where err says that there was no row, and err otherwise.
func found(err error, message string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.New(fault.NotFound, "%s", message)
	}
	return err
}
