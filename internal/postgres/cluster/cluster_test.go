package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/postgres/cluster"
)

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
	starter := exec.Command(os.Args[0])
	starter.Env = append(os.Environ(), starterDir+"="+dir)
	starter.Stderr = os.Stderr
	out, err := starter.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the starter does not start: %q %v", line, err)
	}
	pid := postmaster(t, dir)
	if err := starter.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = starter.Wait() // it was killed
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
