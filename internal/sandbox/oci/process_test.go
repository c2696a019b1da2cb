package oci

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// sleeper starts a process that lives until it is killed.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone
		_ = cmd.Wait()
	})
	return cmd
}

func TestAProcessIsWaitedForAndItsNumberAloneIsNotEnough(t *testing.T) {
	cmd := sleeper(t)
	p, err := identify(cmd.Process.Pid)
	if err != nil || !p.alive() {
		t.Fatalf("want a living process, got %+v, %v", p, err)
	}
	for name, wrong := range map[string]process{
		"started at another time": {PID: p.PID, Start: p.Start + 1, Boot: p.Boot},
		"of another boot":         {PID: p.PID, Start: p.Start, Boot: "other"},
		"none":                    {},
	} {
		if wrong.alive() {
			t.Errorf("a process %s counts as alive", name)
		}
		if _, err := wrong.open(); !errors.Is(err, errGone) {
			t.Errorf("a process %s: want it gone, got %v", name, err)
		}
		if err := wrong.kill(); err != nil || !p.alive() {
			t.Errorf("killing a process %s: %v; the real one lives: %v", name, err, p.alive())
		}
	}
	pidfd, err := p.open()
	if err != nil {
		t.Fatal(err)
	}
	defer pidfd.Close()
	if ended, err := wait(t.Context(), pidfd, time.Now().Add(10*time.Millisecond)); err != nil || ended {
		t.Errorf("want the deadline to pass, got %v, %v", ended, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := wait(ctx, pidfd, time.Now().Add(time.Minute)); !errors.Is(err, context.Canceled) {
		t.Errorf("want the context's error, got %v", err)
	}
	time.AfterFunc(10*time.Millisecond, func() { _ = p.kill() }) // what it returned shows in the wait
	if ended, err := wait(t.Context(), pidfd, time.Now().Add(10*time.Second)); err != nil || !ended {
		t.Errorf("want the end noticed, got %v, %v", ended, err)
	}
	if p.alive() { // nobody has waited for it yet
		t.Error("a process that nobody has reaped counts as alive")
	}
}

func TestAToolThatHangsIsEnded(t *testing.T) {
	begun := time.Now()
	if _, err := output(t.Context(), 100*time.Millisecond, []string{"sleep", "600"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want the deadline's error, got %v", err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("want the call to end soon after its deadline, it took %v", took)
	}
}

func TestS8_AToolGetsNothingOfTheServersEnvironment(t *testing.T) {
	t.Setenv("VIVARIUM_CANARY", "secret")
	out, err := output(t.Context(), time.Second*10, []string{"env"})
	if err != nil || strings.Contains(out, "CANARY") || !strings.Contains(out, "PATH=") {
		t.Errorf("want a small environment, got %q, %v", out, err)
	}
}

func TestAToolsMessagesAreKeptAndBounded(t *testing.T) {
	_, err := output(t.Context(), 10*time.Second, []string{"sh", "-c", "echo first words >&2; yes | head -c 1000000 >&2; exit 3"})
	if err == nil || !strings.Contains(err.Error(), "first words") || len(err.Error()) > 2*maxLog {
		t.Errorf("want the beginning of the messages, got %d bytes", len(err.Error()))
	}
}

func TestCopyingKeepsHolesAndContent(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	file, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	_, first := file.WriteAt([]byte("begin"), 0)
	_, second := file.WriteAt([]byte("middle"), 5<<20)
	if err := errors.Join(first, second, file.Truncate(10<<20), file.Close()); err != nil {
		t.Fatal(err)
	}
	if err := copySparse(from, to, true); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Error("the copy differs")
	}
	out, err := output(t.Context(), 10*time.Second, []string{"du", "-k", to})
	if err != nil {
		t.Fatal(err)
	}
	if kib, _ := strconv.Atoi(strings.Fields(out)[0]); kib > 1024 {
		t.Errorf("want holes kept, the copy takes %d KiB", kib)
	}
}
