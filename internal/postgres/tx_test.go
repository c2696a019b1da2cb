package postgres_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"vivarium/internal/fault"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/workspace"
)

func insertHead(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, "UPDATE audit_head SET seq = seq + 1")
	return err
}

func head(t testing.TB, url string) int {
	t.Helper()
	return value[int](t, url, "SELECT seq FROM audit_head")
}

func TestATransactionWithinATransactionIsAnError(t *testing.T) {
	db := postgrestest.New(t)
	err := db.Tx(t.Context(), func(ctx context.Context, _ pgx.Tx) error {
		return db.Tx(ctx, func(context.Context, pgx.Tx) error { return nil })
	})
	if err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("want an internal error, got %v", err)
	}
	err = db.Tx(t.Context(), func(ctx context.Context, _ pgx.Tx) error {
		_, err := db.AnyUser(ctx)
		return err
	})
	if err == nil {
		t.Error("want an error for a query beside the transaction that it is in")
	}
}

func TestAnErrorAndAPanicRollBack(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	opened := db.Stat().NewConnsCount()
	wrong := errors.New("wrong")
	err := db.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return errors.Join(insertHead(ctx, tx), wrong)
	})
	if !errors.Is(err, wrong) {
		t.Errorf("want the error of the function, got %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("want the panic to go on")
			}
		}()
		_ = db.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			if err := insertHead(ctx, tx); err != nil {
				t.Error(err)
			}
			panic("broken")
		})
	}()
	if got := head(t, url); got != 0 {
		t.Errorf("want everything rolled back, got %d", got)
	}
	if n := db.Stat().AcquiredConns(); n != 0 {
		t.Errorf("want all connections given back, got %d in use", n)
	}
	if n := db.Stat().NewConnsCount(); n != opened {
		t.Errorf("want the connection to be fit for use after a roll back, got %d new ones", n-opened)
	}
	if err := db.Tx(t.Context(), insertHead); err != nil || head(t, url) != 1 {
		t.Errorf("want one commit, got %d (%v)", head(t, url), err)
	}
}

func TestATransactionThatCannotBeSerialisedIsTriedAgain(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	var tries atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			err := db.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				tries.Add(1)
				if _, err := tx.Exec(ctx, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"); err != nil {
					return err
				}
				var n int
				if err := tx.QueryRow(ctx, "SELECT seq FROM audit_head").Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, "UPDATE audit_head SET seq = $1", n+1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := head(t, url); got != 4 {
		t.Errorf("want 4, got %d", got)
	}
}

func TestAFailureToSerialiseIsTriedAgainABoundedNumberOfTimes(t *testing.T) {
	db := postgrestest.New(t)
	tries := 0
	err := db.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		tries++
		_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION 'secret of the database' USING ERRCODE = '40001'; END $$`)
		return err
	})
	wantKind(t, err, fault.Unavailable)
	if tries != postgres.MaxAttempts {
		t.Errorf("want %d tries, got %d", postgres.MaxAttempts, tries)
	}
	wantNoSQL(t, err)
}

func wantNoSQL(t testing.TB, err error) {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		t.Fatalf("want a fault, got %v", err)
	}
	if strings.Contains(f.Message, "secret") || strings.Contains(f.Message, "SQLSTATE") || f.Message == "" {
		t.Errorf("want a message of our own, got %q", f.Message)
	}
	if f.Kind == fault.Unavailable && f.RetryAfter <= 0 {
		t.Errorf("want a time after which trying again makes sense")
	}
}

func TestErrorsOfTheDatabaseBecomeFaults(t *testing.T) {
	db := postgrestest.New(t)
	for _, c := range []struct {
		state string
		want  fault.Kind
	}{
		{"23505", fault.Conflict}, {"23514", fault.Internal}, {"42601", fault.Internal}, {"57014", fault.Unavailable},
		{"57P01", fault.Unavailable}, {"53100", fault.Unavailable}, {"53300", fault.Unavailable}, {"08006", fault.Unavailable},
		{"40P01", fault.Unavailable}, {"55P03", fault.Unavailable}, {"22021", fault.Invalid}, {"25006", fault.Unavailable},
	} {
		err := db.Tx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `DO $$ BEGIN RAISE EXCEPTION 'secret of the database' USING ERRCODE = '`+c.state+`'; END $$`)
			return err
		})
		if !fault.Is(err, c.want) {
			t.Errorf("%s: want %v, got %v", c.state, c.want, err)
		}
		if c.want != fault.Internal {
			wantNoSQL(t, err)
		}
	}
}

func TestD3_ASlowDatabaseIsGivenUpOn(t *testing.T) {
	db := postgrestest.New(t)
	begun := time.Now()
	err := db.TxLimited(t.Context(), 100*time.Millisecond, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	wantKind(t, err, fault.Unavailable)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = db.Tx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	wantKind(t, err, fault.Timeout)
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("want the pool to work on, got %v", err)
	}
}

func TestD3_ADrainedPoolAnswersUnavailable(t *testing.T) {
	_, url := postgrestest.NewURL(t)
	db, err := postgres.OpenWith(t.Context(), url, postgrestest.Log(t), func(c *pgxpool.Config) { c.MaxConns = 1 })
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Tx(t.Context(), func(context.Context, pgx.Tx) error {
		_, err := db.AnyUser(t.Context())
		return err
	})
	wantKind(t, err, fault.Unavailable)
	wantNoSQL(t, err)
}

func TestD2_StoresGoOnAfterTheirConnectionsWereCut(t *testing.T) {
	b := newBench(t)
	b.mustSave("a", "one")
	exec(t, b.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if _, err := b.db.Items(t.Context(), b.ws); err != nil {
		t.Errorf("want a read to be tried again, got %v", err)
	}
	exec(t, b.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if _, err := b.save("a", "two", workspace.AnyVersion); err != nil {
		t.Errorf("want a transaction that could not begin to be tried again, got %v", err)
	}
}

// counted is a connection that counts how often its user waited for the other side: a read after a write.
type counted struct {
	net.Conn
	trips *atomic.Int64
	wrote atomic.Bool
}

func (c *counted) Write(p []byte) (int, error) {
	c.wrote.Store(true)
	return c.Conn.Write(p)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.wrote.Swap(false) {
		c.trips.Add(1)
	}
	return n, err
}

func TestASaveTakesFourRoundTrips(t *testing.T) {
	b := newBench(t)
	var trips atomic.Int64
	db, err := postgres.OpenWith(t.Context(), b.url, postgrestest.Log(t), func(c *pgxpool.Config) {
		c.MaxConns = 1
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &counted{Conn: conn, trips: &trips}, err
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b.db = db
	item := b.mustSave("src/a.py", "the first one prepares the statements")
	if item, err = b.save("src/a.py", "the second the update", item.Version); err != nil {
		t.Fatal(err)
	}
	trips.Store(0)
	if _, err := b.save("src/a.py", "the third is what a person waits for", item.Version); err != nil {
		t.Fatal(err)
	}
	if n := trips.Load(); n > 4 || n == 0 {
		t.Errorf("want at most 4 round trips, got %d", n)
	}
}
