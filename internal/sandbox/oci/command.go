package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxLog bounds what is kept of a tool's messages, in bytes. The first ones say what went wrong.
const maxLog = 8 << 10

// environment is what tools and runtimes get; the server's own holds secrets.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}

// tail is a writer that keeps the first maxLog bytes.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[:min(len(p), maxLog-len(t.buf))]...)
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}

// started is a process of ours that dies with the server. It is waited for by its own goroutine.
type started struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended; then err is set
	err  error
}

// start runs the command as a process that gets SIGKILL when the server dies. The kernel sends that signal when the thread
// that made the process ends, so one thread is kept until then.
func start(cmd *exec.Cmd) (*started, error) {
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.WaitDelay = time.Second
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Pdeathsig = true, syscall.SIGKILL
	s := &started{cmd: cmd, done: make(chan struct{})}
	begun := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		begun <- err
		if err != nil {
			return
		}
		s.err = cmd.Wait()
		close(s.done)
	}()
	if err := <-begun; err != nil {
		return nil, err
	}
	return s, nil
}

// kill ends the process and waits for it.
func (s *started) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	<-s.done
}

// wait waits for the process to end, and ends it when the context does first.
func (s *started) wait(ctx context.Context) error {
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		s.kill()
		return ctx.Err()
	}
}

// output runs a tool to its end, at most for the time given, and returns what it printed.
func output(ctx context.Context, limit time.Duration, argv []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out, messages tail
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &messages
	s, err := start(cmd)
	if err == nil {
		err = s.wait(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, messages.String())
	}
	return out.String(), nil
}

// readLog returns the beginning of a runtime's log, for an error.
func readLog(name string) string {
	file, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxLog))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// tool finds a program of the system, also where the server's own PATH is short.
func tool(name string) (string, error) {
	for dir := range strings.SplitSeq(strings.TrimPrefix(environment[0], "PATH="), ":") {
		path := dir + "/" + name
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", errors.New(name + " is not installed")
}
