package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"vivarium/internal/fault"
)

//go:embed migrations/*.sql
var embedded embed.FS

// migrationLock is the advisory lock that one migrating server holds: "vivarium" as a number.
const migrationLock int64 = 0x766976617269756d

// SchemaError says that the database's schema is not the one that this binary works with. Its message says what to do.
type SchemaError struct {
	Database int64 // version in the database; 0 when it has none
	Binary   int64 // newest version that this binary knows
}

// Newer reports whether a newer binary has migrated the database.
func (e *SchemaError) Newer() bool { return e.Database > e.Binary }

func (e *SchemaError) Error() string {
	switch {
	case e.Newer():
		return fmt.Sprintf("The database's schema (version %d) is newer than this vivarium knows (version %d). Install the newer vivarium, "+
			"or restore a backup from before the upgrade.", e.Database, e.Binary)
	case e.Database == 0:
		return "The database has no schema yet: run `vivarium migrate`."
	default:
		return fmt.Sprintf("The database's schema (version %d) is older than this vivarium needs (version %d): run `vivarium migrate`.",
			e.Database, e.Binary)
	}
}

// Unwrap returns a fault of kind Unavailable with the same message.
func (e *SchemaError) Unwrap() error { return fault.New(fault.Unavailable, "%s", e.Error()) }

// Migrate brings the schema of the database at the URL up to date. Servers that start together migrate once: an advisory
// lock makes the others wait. A schema of a newer binary is left alone, with a *SchemaError.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	cfg, err := parse(url)
	if err != nil {
		return err
	}
	// A migration may rewrite a large table.
	cfg.ConnConfig.RuntimeParams["statement_timeout"] = "0"
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	if err := migrate(ctx, cfg.ConnConfig, log); err != nil {
		return translate(ctx, err)
	}
	return nil
}

func migrate(ctx context.Context, cfg *pgx.ConnConfig, log *slog.Logger) (err error) {
	db := stdlib.OpenDB(*cfg)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	// Closing the connection, not only giving it back, frees the lock also when the context has ended.
	defer func() { err = errors.Join(err, discard(conn)) }()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", migrationLock); err != nil {
		return err
	}
	have, err := schemaVersion(func(query string, dest any) error { return conn.QueryRowContext(ctx, query).Scan(dest) })
	if err != nil {
		return err
	}
	want, err := latestVersion()
	if err != nil {
		return err
	}
	if have > want {
		return &SchemaError{Database: have, Binary: want}
	}
	provider, err := newProvider(db)
	if err != nil {
		return err
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return err
	}
	for _, one := range done {
		log.Info("migrated the database", "version", one.Source.Version, "took", one.Duration)
	}
	return nil
}

func discard(conn *sql.Conn) error {
	err := conn.Raw(func(raw any) error {
		if c, ok := raw.(*stdlib.Conn); ok {
			return c.Close()
		}
		return nil
	})
	return errors.Join(err, conn.Close())
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true))
}

// latestVersion returns the newest schema version that this binary knows.
var latestVersion = sync.OnceValues(func() (int64, error) {
	names, err := fs.Glob(embedded, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	var latest int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, err
		}
		latest = max(latest, version)
	}
	return latest, nil
})

// schemaVersion returns the version of the schema in the database, and 0 when it has none. scan runs a query of one value.
func schemaVersion(scan func(query string, dest any) error) (int64, error) {
	// goose keeps a row for each migration that it applied, in a table of its own.
	var version int64
	err := scan("SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied", &version)
	if stateOf(err) == stateUndefinedTable {
		return 0, nil
	}
	return version, err
}

func (db *DB) checkSchema(ctx context.Context) error {
	want, err := latestVersion()
	if err != nil {
		return err
	}
	return db.bounded(ctx, ordinaryLimit, func(ctx context.Context) error {
		conn, err := db.acquire(ctx)
		if err != nil {
			return err
		}
		defer conn.Release()
		have, err := schemaVersion(func(query string, dest any) error { return conn.QueryRow(ctx, query).Scan(dest) })
		if err != nil {
			return err
		}
		if have != want {
			return &SchemaError{Database: have, Binary: want}
		}
		return nil
	})
}

// SchemaHash returns a short hash over the migrations, which names what they make.
var SchemaHash = sync.OnceValue(func() string {
	sum := sha256.New()
	// Glob sorts, and what is embedded can be read.
	names, _ := fs.Glob(embedded, "migrations/*.sql")
	for _, name := range names {
		content, _ := embedded.ReadFile(name)
		fmt.Fprintf(sum, "%s %d\n%s", name, len(content), content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
})
