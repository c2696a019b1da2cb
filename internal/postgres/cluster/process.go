package cluster

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
)

// The signals that tell a postmaster how to stop.
const (
	stopFast = unix.SIGINT  // roll back, write everything, end
	stopNow  = unix.SIGQUIT // end; the next start repairs
)

// process is a postmaster: our child, or one that a killed server left. The file descriptor names the process itself, so that
// neither a signal nor a wait can meet another one with the same number.
type process struct {
	pid int
	fd  int
	cmd *exec.Cmd // nil for one that we did not start

	once sync.Once
}

func openProcess(pid int, cmd *exec.Cmd) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	return &process{pid: pid, fd: fd, cmd: cmd}, nil
}

// exited reports whether the process has ended.
func (p *process) exited() bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// wait waits for the end of the process and reports whether it ended before the context did.
func (p *process) wait(ctx context.Context) (bool, error) {
	// The end of the context closes the pipe, which ends the poll.
	r, w, err := os.Pipe()
	if err != nil {
		return false, err
	}
	defer r.Close()
	closePipe := sync.OnceValue(w.Close)
	defer closePipe()
	defer context.AfterFunc(ctx, func() { _ = closePipe() })()
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}, {Fd: int32(r.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return fds[0].Revents != 0, err
	}
}

// signal sends a signal. It succeeds when the process has ended already.
func (p *process) signal(s unix.Signal) error {
	err := unix.PidfdSendSignal(p.fd, s, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// discard frees what we hold of the process, and its entry in the process table when it was our child and has ended.
func (p *process) discard() {
	p.once.Do(func() {
		if p.cmd != nil {
			if p.exited() {
				_ = p.cmd.Wait() // how it ended is in its log
			} else {
				_ = p.cmd.Process.Release() // it goes on without us
			}
		}
		_ = unix.Close(p.fd)
	})
}

// launch starts a postmaster. What it says before it opens its log goes to log/start.log.
func (c *Cluster) launch(bin binaries) (*process, error) {
	out, err := os.OpenFile(c.startLog(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// Not bound to a context: it ends when it is told to, and outlives a server that is killed.
	cmd := c.account.command(context.Background(), c.data(), bin.postgres(), "-D", c.data())
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The private database cannot be started: %s.", reason(err))
	}
	p, err := openProcess(cmd.Process.Pid, cmd)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return p, nil
}

func (c *Cluster) startLog() string { return filepath.Join(c.logDir(), "start.log") }

// explainExit returns why a postmaster that was launched at the time ended during its start, in its own words.
func (c *Cluster) explainExit(launched time.Time) error {
	said := complaints(c.startLog(), "LOG:  redirecting", "HINT:  Future log") // what is wrong with a setting is a LOG
	if files := c.logFiles(); said == "" && len(files) > 0 {
		newest := files[len(files)-1]
		if st, err := os.Stat(newest); err == nil && st.ModTime().After(launched) {
			said = complaints(newest, "LOG:  ")
		}
	}
	return fault.New(fault.Unavailable, "The private database ended while it started. Its log is in %s. It said: %s", c.logDir(), said)
}

// complaints returns the last lines of a log without those that only tell of progress, and nothing when there are none.
func complaints(name string, progress ...string) string {
	content, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	var lines []string
	for line := range strings.Lines(string(content)) {
		if !slices.ContainsFunc(progress, func(p string) bool { return strings.Contains(line, p) }) {
			lines = append(lines, line)
		}
	}
	return lastLines(strings.Join(lines, ""), 3)
}

// findRunning returns the postmaster that runs on the data, and the folder of its socket; nil when there is none. A lock file
// whose number now belongs to another process, as after a restart of the machine, is removed: PostgreSQL would take that
// process for a postmaster and refuse to start.
func findRunning(data string) (*process, string, error) {
	name := filepath.Join(data, "postmaster.pid")
	lines, err := readLines(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(lines) == 0 {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return nil, "", nil // PostgreSQL says what is wrong with it
	}
	if worksIn(pid, data) {
		p, err := openProcess(pid, nil)
		switch {
		case errors.Is(err, unix.ESRCH):
			return nil, "", nil
		case err != nil:
			return nil, "", err
		case !worksIn(pid, data): // it ended, and its number was used again in between
			p.discard()
			return nil, "", nil
		}
		socket := ""
		if len(lines) > 4 { // the fifth line
			socket = lines[4]
		}
		return p, socket, nil
	}
	if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil && !anyWorksIn(data) {
		return nil, "", os.Remove(name)
	}
	return nil, "", nil
}

// worksIn reports whether a process has the folder as its working directory, as every process of PostgreSQL has its data.
func worksIn(pid int, dir string) bool {
	return sameFile(filepath.Join("/proc", strconv.Itoa(pid), "cwd"), dir)
}

func anyWorksIn(dir string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && worksIn(pid, dir) {
			return true
		}
	}
	return false
}

func readLines(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var lines []string
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}
