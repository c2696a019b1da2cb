package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"vivarium/internal/postgres/sqlcgen"
)

// pipeline collects statements and sends them to the database in one round trip, in order: what makes a save feel instant
// is the number of times that the server waits for the database. Typed statements without a result are queued through the
// generated code; a query's text is queued with a function that reads its rows.
type pipeline struct {
	batch pgx.Batch
	err   error
}

func newPipeline() *pipeline { return &pipeline{} }

// queue adds the :exec statements that fn runs. Their results are not known to fn.
func (p *pipeline) queue(fn func(q *sqlcgen.Queries) error) {
	if err := fn(sqlcgen.New(queueing{p})); err != nil && p.err == nil {
		p.err = err
	}
}

// queueing is a database that only notes what it is told to execute.
type queueing struct{ pipeline *pipeline }

var errQueueing = errors.New("postgres: only statements without a result can be queued")

func (q queueing) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.pipeline.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (q queueing) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errQueueing }

func (q queueing) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

type noRow struct{}

func (noRow) Scan(...any) error { return errQueueing }

// query adds a query, by its generated text and its arguments in the order of their numbers; scan reads each of its rows.
func query[T any](p *pipeline, into *[]T, scan pgx.RowToFunc[T], sql string, args ...any) {
	p.batch.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*into, err = pgx.CollectRows(rows, scan)
		return err
	})
}

// run sends everything and reads all results. It returns the first error.
func (p *pipeline) run(ctx context.Context, t *txn) error {
	if p.err != nil || p.batch.Len() == 0 {
		return p.err
	}
	return t.conn.SendBatch(ctx, &p.batch).Close()
}
