// Package postgrestest gives each test a migrated database of its own on a real PostgreSQL: copies of a template, on one cluster
// for all tests of a user of the machine. The cluster is started on demand in the folder for temporary files, without fsync, and
// left running for the next tests; the test databases are dropped at their end, and those that killed tests left are found and
// dropped by later ones. Set VIVARIUM_TEST_DATABASE_URL to use another server, with a role that may make databases.
package postgrestest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"vivarium/internal/postgres"
	"vivarium/internal/postgres/cluster"
)

const (
	// limit bounds what a test waits for its database, also on a busy machine where the cluster must be made first.
	limit = 2 * time.Minute
	// lockKey is the advisory lock under which the template is made, and old databases are dropped.
	lockKey = 0x766976617465
	// keptTemplates are the newest templates; those of older migrations go.
	keptTemplates = 4

	templatePrefix = "vivarium_template_"
	testPrefix     = "vivarium_test_"
)

// New returns a migrated, empty database of its own, which is dropped at the end of the test.
func New(t testing.TB) *postgres.DB {
	t.Helper()
	db, _ := NewURL(t)
	return db
}

// NewURL is like New, and returns the URL of the database too.
func NewURL(t testing.TB) (*postgres.DB, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	name, err := create(ctx)
	if err != nil {
		t.Fatalf("no test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := drop(ctx, name); err != nil {
			t.Errorf("cannot drop the test database: %v", err)
		}
	})
	at, err := at(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(ctx, at, Log(t))
	if err != nil {
		t.Fatalf("cannot open the test database: %v", err)
	}
	t.Cleanup(db.Close)
	return db, at
}

// Empty returns the URL of a database of its own without a schema.
func Empty(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	name := newName()
	err := admin(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0")
		return err
	})
	if err != nil {
		t.Fatalf("no test database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := drop(ctx, name); err != nil {
			t.Errorf("cannot drop the test database: %v", err)
		}
	})
	at, err := at(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Log returns a log that is shown with the test when it fails.
func Log(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// server is where test databases are made: the URL of its maintenance database.
var server = sync.OnceValues(func() (string, error) {
	if at := os.Getenv("VIVARIUM_TEST_DATABASE_URL"); at != "" {
		return at, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	// The folder is named after the user, so that users of one machine do not meet; the cluster refuses a folder of another.
	dir := filepath.Join(os.TempDir(), "vivarium-test-"+strconv.Itoa(os.Geteuid()))
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Volatile: true})
	if err != nil {
		return "", err
	}
	c.Detach()
	return c.AdminURL("postgres"), nil
})

// at returns the URL of a database on the server.
func at(_ context.Context, name string) (string, error) {
	base, err := server()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

func admin(ctx context.Context, fn func(conn *pgx.Conn) error) error {
	base, err := server()
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return err
	}
	return errors.Join(fn(conn), conn.Close(ctx))
}

// newName returns a free name, which says which process it belongs to.
func newName() string {
	return fmt.Sprintf("%s%d_%s", testPrefix, os.Getpid(), strings.ToLower(rand.Text()[:12]))
}

var sweepOnce sync.Once

// create makes a copy of the template and returns its name.
func create(ctx context.Context) (string, error) {
	name := newName()
	err := admin(ctx, func(conn *pgx.Conn) (err error) {
		sweepOnce.Do(func() { err = locked(ctx, conn, func() error { return sweep(ctx, conn) }) })
		if err != nil {
			return err
		}
		for {
			template, err := prepare(ctx, conn)
			if err != nil {
				return err
			}
			_, err = conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template)
			// Somebody with newer migrations may have dropped the template, and whoever looks into it is in the way for a moment.
			if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "3D000" || e.Code == "55006") && ctx.Err() == nil {
				continue
			}
			return err
		}
	})
	return name, err
}

func drop(ctx context.Context, name string) error {
	return admin(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		return err
	})
}

// prepare returns the name of the template, which it makes when it is missing. It is renamed when it is whole.
func prepare(ctx context.Context, conn *pgx.Conn) (string, error) {
	template := templatePrefix + postgres.SchemaHash()
	var there bool
	exists := func() error {
		return conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", template).Scan(&there)
	}
	if err := exists(); err != nil || there {
		return template, err
	}
	return template, locked(ctx, conn, func() error {
		if err := exists(); err != nil || there {
			return err
		}
		name := newName()
		if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
			return err
		}
		fresh, err := at(ctx, name)
		if err != nil {
			return err
		}
		if err := postgres.Migrate(ctx, fresh, slog.New(slog.DiscardHandler)); err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "ALTER DATABASE "+name+" RENAME TO "+template)
		return err
	})
}

// locked runs fn while nobody else does.
func locked(ctx context.Context, conn *pgx.Conn, fn func() error) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lockKey); err != nil {
		return err
	}
	err := fn()
	_, unlockErr := conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", lockKey)
	return errors.Join(err, unlockErr)
}

// sweep drops what is not needed any more: databases of tests that were killed, and templates of old migrations.
func sweep(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database WHERE datname LIKE 'vivarium\_te%' ORDER BY oid DESC`)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	templates := 0
	for _, name := range names {
		old := false
		switch rest, isTest := strings.CutPrefix(name, testPrefix); {
		case isTest:
			pid, _, _ := strings.Cut(rest, "_")
			_, err := os.Stat(filepath.Join("/proc", pid))
			old = os.IsNotExist(err)
		case strings.HasPrefix(name, templatePrefix):
			templates++
			old = templates >= keptTemplates
		}
		if !old {
			continue
		}
		// Without FORCE: what somebody uses stays, whatever we think of it.
		_, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "55006" {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
