package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/cluster"
)

// helperDir makes the test binary a server that starts the cluster in the folder and waits to be killed.
const helperDir = "VIVARIUM_TEST_CLUSTER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
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

func TestAClusterKeepsItsDataOverAStop(t *testing.T) {
	dir := openDir(t)
	cfg := durable(t, dir)
	c := start(t, cfg)
	keep(t, c.URL(), "one")
	for sql, want := range map[string]string{
		"SHOW data_checksums":     "on",
		"SHOW fsync":              "on",
		"SHOW synchronous_commit": "on",
		"SHOW listen_addresses":   "",
		"SHOW server_encoding":    "UTF8",
		"SHOW lc_collate":         "C",
		"SHOW shared_buffers":     "64MB",
		"SELECT current_user":     "vivarium",
		"SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user": "false",
	} {
		if got := must(t, c.URL(), sql); got != want {
			t.Errorf("%s: want %q, got %q", sql, want, got)
		}
	}
	if sid, err := unix.Getsid(postmaster(t, dir)); err != nil || sid == own(t) {
		t.Errorf("want the postmaster out of reach of our terminal's Ctrl-C, got session %d (%v)", sid, err)
	}
	stop(t, c)
	if _, err := os.Stat(filepath.Join(dir, "data", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want the postmaster gone, got %v", err)
	}
	begun := time.Now()
	again := start(t, cfg)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("want a start within 2 s on an idle machine, it took %v", took)
	} else {
		t.Logf("started in %v", took)
	}
	if got := must(t, again.URL(), readRows); got != "one" {
		t.Errorf("want the data back, got %q", got)
	}
}

func own(t *testing.T) int {
	t.Helper()
	sid, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

func TestD1_ACrashedPostmasterIsStartedAgain(t *testing.T) {
	dir := seeded(t)
	c := start(t, durable(t, dir))
	keep(t, c.URL(), "committed")
	for range 2 {
		before := must(t, c.URL(), begunAt)
		if err := unix.Kill(postmaster(t, dir), unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		until(t, func() bool {
			after, err := ask(t, c.URL(), begunAt)
			return err == nil && after != before
		})
		if got := must(t, c.URL(), readRows); got != "committed" {
			t.Errorf("want the data back, got %q", got)
		}
	}
	select {
	case <-c.Done():
		t.Error("want it under our care still")
	default:
	}
}

func TestD1_TheClusterOfAKilledServerIsAdopted(t *testing.T) {
	dir := seeded(t)
	helper := exec.Command(os.Args[0])
	helper.Env = append(os.Environ(), helperDir+"="+dir)
	helper.Stderr = os.Stderr
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the helper does not start: %q %v", line, err)
	}
	pid := postmaster(t, dir)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait() // it was killed
	if err := unix.Kill(pid, 0); err != nil {
		t.Fatalf("want the postmaster to outlive its server, got %v", err)
	}
	c := start(t, durable(t, dir))
	if got := postmaster(t, dir); got != pid {
		t.Errorf("want the postmaster %d adopted, got %d", pid, got)
	}
	keep(t, c.URL(), "by the adopter")

	// One that is not our child is watched and stopped like one that is.
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { v, err := ask(t, c.URL(), readRows); return err == nil && v == "by the adopter" })
	stop(t, c)
}

func TestTwoStartsAtOnceMeetInOneCluster(t *testing.T) {
	dir := openDir(t)
	var found [3]*cluster.Cluster
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			c, err := cluster.Start(t.Context(), config(t, dir))
			if err != nil {
				t.Error(err)
				return
			}
			found[i] = c
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	begun := must(t, found[0].URL(), begunAt)
	for _, c := range found[1:] {
		if got := must(t, c.URL(), begunAt); got != begun {
			t.Errorf("want one postmaster, got another that began at %s", got)
		}
		c.Detach()
		<-c.Done()
	}
	if must(t, found[0].URL(), begunAt) != begun {
		t.Error("want the cluster to run on after it was let go")
	}
	stop(t, found[0])
}

func TestANumberThatWasUsedAgainIsNoPostmaster(t *testing.T) {
	dir := seeded(t)
	// As after a restart of the machine: the lock file is left, and its number is that of an innocent process of the same user.
	sleeper := exec.Command("sleep", "600")
	st, err := os.Stat(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	runAsOwner(sleeper, st)
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(sleeper.Process.Kill()); err != nil {
			t.Error(err)
		}
		_ = sleeper.Wait() // it was killed
	}()
	lock := fmt.Sprintf("%d\n%s\n1700000000\n5432\n%s\n\n  1  1\nready   \n", sleeper.Process.Pid, filepath.Join(dir, "data"), filepath.Join(dir, "run"))
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(lock), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, config(t, dir))
	if got := must(t, c.URL(), "SELECT 'works'"); got != "works" {
		t.Errorf("want it to work, got %q", got)
	}
}

func TestAStartThatWasCutShortLeavesNothingInTheWay(t *testing.T) {
	dir := seeded(t)
	if err := os.Rename(filepath.Join(dir, "data"), filepath.Join(dir, "data.new")); err != nil {
		t.Fatal(err)
	}
	c := start(t, config(t, dir))
	if got := must(t, c.URL(), "SELECT 'works'"); got != "works" {
		t.Errorf("want it to work, got %q", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "data.new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want the rest gone, got %v", err)
	}
}

func TestALongPathGetsItsSocketElsewhere(t *testing.T) {
	dir := filepath.Join(openDir(t), strings.Repeat("long-", 30), "postgres")
	c := start(t, config(t, dir))
	if strings.Contains(c.URL(), "long-long-") {
		t.Errorf("want a short path for the socket, got %s", c.URL())
	}
	if got := must(t, c.URL(), "SELECT 'works'"); got != "works" {
		t.Errorf("want it to work, got %q", got)
	}
	socket := must(t, c.AdminURL("postgres"), "SHOW unix_socket_directories")
	if st, err := os.Stat(socket); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("want the socket's folder closed to others, got %v (%v)", st, err)
	}
	stop(t, c)
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("want the socket's folder gone, got %v", err)
	}
}

func TestWhatCannotBeUsedIsRefusedWithWhatToDo(t *testing.T) {
	t.Run("no binaries", func(t *testing.T) {
		cfg := config(t, openDir(t))
		cfg.BinDir = t.TempDir()
		_, err := cluster.Start(t.Context(), cfg)
		wantUnavailable(t, err, "Install", "VIVARIUM_DATABASE_URL", cfg.BinDir)
	})
	t.Run("data of another major version", func(t *testing.T) {
		dir := seeded(t)
		version := filepath.Join(dir, "data", "PG_VERSION")
		if err := os.WriteFile(version, []byte("99\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "PostgreSQL 99", "pg_upgrade")
	})
	t.Run("a folder that is no database", func(t *testing.T) {
		dir := seeded(t)
		if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		precious := filepath.Join(dir, "data", "precious")
		if err := os.MkdirAll(precious, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "no database")
		if _, err := os.Stat(precious); err != nil {
			t.Errorf("want it left alone, got %v", err)
		}
	})
	t.Run("a configuration that PostgreSQL refuses", func(t *testing.T) {
		dir := seeded(t)
		f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("no_such_setting = 1\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "no_such_setting", filepath.Join(dir, "log"))
	})
	t.Run("a folder that the database's user cannot get to", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root runs the database as somebody else")
		}
		closed := filepath.Join(filepath.Dir(openDir(t)), "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, filepath.Join(closed, "postgres")))
		wantUnavailable(t, err, "chmod o+x "+closed, "/var/lib/vivarium")
	})
	t.Run("a folder of somebody else", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder away")
		}
		dir := openDir(t)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "chown")
	})
}

func TestOldLogsAreRemoved(t *testing.T) {
	dir := seeded(t)
	for i := range 9 {
		if err := os.WriteFile(filepath.Join(dir, "log", fmt.Sprintf("postgres-2001010%d-000000.log", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, config(t, dir))
	logs, err := filepath.Glob(filepath.Join(dir, "log", "postgres-*.log"))
	if err != nil || len(logs) != 5 || strings.Contains(logs[0], "2001010") && !strings.Contains(logs[0], "20010105") && !strings.Contains(logs[0], "20010106") {
		t.Errorf("want the newest 5, got %q (%v)", logs, err)
	}
}

func TestAStopThatTakesTooLongIsForced(t *testing.T) {
	dir := seeded(t)
	c := start(t, durable(t, dir))
	keep(t, c.URL(), "committed")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	again := start(t, durable(t, dir))
	if got := must(t, again.URL(), readRows); got != "committed" {
		t.Errorf("want the data back, got %q", got)
	}
}
