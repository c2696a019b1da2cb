package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/cluster"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/workspace"
)

// ownCluster starts a cluster that a test may kill, with everything that makes commits durable.
func ownCluster(t *testing.T) (url, dir string) {
	t.Helper()
	base, err := os.MkdirTemp("", "vivarium-outage")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(base, 0o711); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(base, "postgres")
	c, err := cluster.Start(t.Context(), cluster.Config{Dir: dir, Log: postgrestest.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := c.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return c.URL(), dir
}

func killPostmaster(t *testing.T, dir string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// begunAt returns when the postmaster began, and nothing while it does not answer.
func begunAt(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close(ctx) }() // it may be dead by now
	var at string
	if err := conn.QueryRow(ctx, "SELECT pg_postmaster_start_time()::text").Scan(&at); err != nil {
		return ""
	}
	return at
}

func TestD2_NoAcknowledgedSaveIsLostWhenTheDatabaseDies(t *testing.T) {
	url, dir := ownCluster(t)
	if err := postgres.Migrate(t.Context(), url, postgrestest.Log(t)); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b := &bench{t: t, db: db, url: url, owner: newUser(t, db)}
	ws, err := db.CreateWorkspace(t.Context(), b.owner.ID, "test", nil, nil, limits)
	if err != nil {
		t.Fatal(err)
	}
	b.ws = ws.ID
	server := uuid.New()
	hold(t, db, server)
	one := b.start(server)

	const writers = 4
	var acked [writers]workspace.Item
	var saves atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				item, err := b.save(fmt.Sprint("file-", w), fmt.Sprint(w, " ", n), workspace.AnyVersion)
				switch {
				case err == nil:
					acked[w] = item
					saves.Add(1)
				case !fault.Is(err, fault.Unavailable):
					t.Errorf("want only unavailable while the database is down, got %v", err)
					return
				}
			}
		})
	}
	for range 2 {
		at := saves.Load()
		until(t, func() bool { return saves.Load() > at+20 || t.Failed() })
		before := begunAt(t, url)
		killPostmaster(t, dir)
		begun := time.Now()
		// Its children go on for a moment; what counts are the saves after they are gone.
		until(t, func() bool { now := begunAt(t, url); return now != "" && now != before })
		at = saves.Load()
		until(t, func() bool { return saves.Load() > at+writers || t.Failed() })
		t.Logf("saving again after %v", time.Since(begun))
	}
	close(stop)
	wg.Wait()
	for w, want := range acked {
		item, err := db.Item(t.Context(), b.ws, want.Path)
		if err != nil {
			t.Fatal(err)
		}
		// The one after the last acknowledged may be stored too: its answer was lost.
		if item.Version < want.Version || item.Version == want.Version && item != want {
			t.Errorf("writer %d: want %+v or newer, got %+v", w, want, item)
		}
	}
	b.verify()

	// The server has shown again that it lives, so that nobody takes its sessions.
	until(t, func() bool {
		var free bool
		conn := connect(t, url)
		err := conn.QueryRow(t.Context(), "SELECT pg_try_advisory_lock($1)", postgres.ServerKey(server)).Scan(&free)
		return err == nil && !free
	})
	if taken, err := db.TakeSessions(t.Context(), uuid.New(), lease); err != nil || len(taken) != 0 {
		t.Errorf("want the session %v to stay with its server, got %+v (%v)", one.ID, taken, err)
	}
}
