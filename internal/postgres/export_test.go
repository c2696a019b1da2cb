package postgres

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OpenWith is Open with a change of the pool's configuration.
func OpenWith(ctx context.Context, url string, log *slog.Logger, change func(*pgxpool.Config)) (*DB, error) {
	cfg, err := parse(url)
	if err != nil {
		return nil, err
	}
	change(cfg)
	return open(ctx, cfg, log)
}

// Tx runs fn in a transaction of the stores.
func (db *DB) Tx(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error { return fn(ctx, t.conn) })
}

// TxLimited is Tx with a limit of time.
func (db *DB) TxLimited(ctx context.Context, limit time.Duration, fn func(ctx context.Context, tx pgx.Tx) error) error {
	return db.tx(ctx, limit, func(ctx context.Context, t *txn) error { return fn(ctx, t.conn) })
}

// ServerKey returns the key of a server's advisory lock.
func ServerKey(server uuid.UUID) int64 { return serverKey(server) }

// MaxAttempts is how often a transaction is tried.
const MaxAttempts = maxAttempts
