package cluster_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/cluster"
)

// starterDir makes the test binary a server that starts the cluster in the folder and waits to be killed.
const starterDir = "VIVARIUM_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(starterDir); dir != "" {
		_, err := cluster.Start(context.Background(), cluster.Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		select {}
	}
	code := m.Run()
	if seedBase != "" {
		if err := os.RemoveAll(seedBase); err != nil {
			fmt.Println(err)
			code = 1
		}
	}
	os.Exit(code)
}

// seed is a cluster that was made and stopped once, for the tests to copy: making one takes seconds.
var (
	seedBase string
	seed     = sync.OnceValues(func() (string, error) {
		base, err := os.MkdirTemp("", "vivarium-cluster")
		if err != nil {
			return "", err
		}
		seedBase = base
		dir := filepath.Join(base, "postgres")
		if err := os.Chmod(base, 0o711); err != nil {
			return "", err
		}
		c, err := cluster.Start(context.Background(), cluster.Config{Dir: dir, Volatile: true})
		if err != nil {
			return "", err
		}
		return dir, c.Stop(context.Background())
	})
)

// seeded returns a folder with a cluster that is stopped.
func seeded(t *testing.T) string {
	t.Helper()
	from, err := seed()
	if err != nil {
		t.Fatal(err)
	}
	dir := openDir(t)
	if out, err := exec.Command("cp", "-a", from, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// openDir returns a folder for a cluster that its account can get to, which the test's own is not.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vivarium-cluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "postgres")
}

func config(t *testing.T, dir string) cluster.Config {
	return cluster.Config{Dir: dir, Volatile: true, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// durable is the configuration of production: what was committed must be there after a crash.
func durable(t *testing.T, dir string) cluster.Config {
	cfg := config(t, dir)
	cfg.Volatile = false
	return cfg
}

func start(t *testing.T, cfg cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
	<-c.Done()
}

// ask runs a statement on a connection of its own and returns its value as text.
func ask(t *testing.T, url, sql string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }() // the postmaster may be dead by now
	var v string
	err = conn.QueryRow(ctx, sql).Scan(&v)
	return v, err
}

func must(t *testing.T, url, sql string) string {
	t.Helper()
	v, err := ask(t, url, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const (
	begunAt  = "SELECT pg_postmaster_start_time()::text"
	readRows = "SELECT coalesce(string_agg(v, ','), '') FROM kept"
)

// keep stores a value in the cluster's database.
func keep(t *testing.T, url, v string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS kept (v text)"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO kept VALUES ($1)", v); err != nil {
		t.Fatal(err)
	}
}

func postmaster(t *testing.T, dir string) int {
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
	return pid
}

func until(t *testing.T, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("the condition does not come about")
		case <-tick.C:
		}
	}
}

func wantUnavailable(t *testing.T, err error, words ...string) {
	t.Helper()
	if !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want an unavailable fault, got %v", err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("want a sentence with %q, got %q", word, err)
		}
	}
}

// runAsOwner makes a command run as the owner of a file, where we may do that.
func runAsOwner(cmd *exec.Cmd, st fs.FileInfo) {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sys.Uid, Gid: sys.Gid}}
	}
}
