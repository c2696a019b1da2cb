package postgres

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"vivarium/internal/fault"
)

// Times that bound the work with the database. What the server gives up on, the database gives up on too, so that no query
// runs for a caller who is gone.
const (
	connectTimeout   = 5 * time.Second
	acquireTimeout   = 3 * time.Second  // for a free connection of the pool
	statementTimeout = 5 * time.Second  // for a statement, unless a transaction says otherwise
	idleInTxTimeout  = 15 * time.Second // for a transaction whose server hangs: its locks must not stay
	ordinaryLimit    = 5 * time.Second  // for a whole operation
	longLimit        = time.Minute      // for one that may touch thousands of rows
)

// DB is the database: one pool of connections, and the stores of every domain. All methods may be called concurrently.
type DB struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	// held is the server that HoldServer holds; what sessions of another one write is refused.
	held atomic.Pointer[uuid.UUID]
}

// Open connects to the database at the URL. It refuses a schema that is not this binary's with a *SchemaError, which says
// what to do, and is Unavailable when the database does not answer.
func Open(ctx context.Context, url string, log *slog.Logger) (*DB, error) {
	cfg, err := parse(url)
	if err != nil {
		return nil, err
	}
	return open(ctx, cfg, log)
}

func open(ctx context.Context, cfg *pgxpool.Config, log *slog.Logger) (*DB, error) {
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, translate(ctx, err)
	}
	db := &DB{pool: pool, log: log}
	if err := db.checkSchema(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return db, nil
}

// parse reads a database URL. A parse error of pgx is not shown: it may repeat the password.
func parse(url string) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The database URL cannot be read. It looks like postgres://user:password@host:5432/name.")
	}
	if !strings.Contains(url, "pool_max_conns") {
		cfg.MaxConns = int32(min(max(10, 4*runtime.GOMAXPROCS(0)), 40))
	}
	cfg.MaxConnLifetimeJitter = 5 * time.Minute
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	params := cfg.ConnConfig.RuntimeParams
	for name, value := range map[string]string{
		"application_name":                    "vivarium",
		"statement_timeout":                   milliseconds(statementTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTxTimeout),
	} {
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{Name: "timestamptz", OID: pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC}})
		return nil
	}
	return cfg, nil
}

// Close waits until all connections are given back, and closes them.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers; Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	return db.bounded(ctx, ordinaryLimit, func(ctx context.Context) error { return db.pool.Ping(ctx) })
}

// Stat returns the state of the pool, for metrics.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }
