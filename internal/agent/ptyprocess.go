package agent

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/terminal"
)

const (
	// gatherFrom is the size of a read that says that more is coming; less is sent at once, so that an echo never waits.
	gatherFrom = 512
	gatherFor  = 2 * time.Millisecond
	// quietAfterExit ends the reading of a terminal whose process is gone but whose device is still held by processes
	// that it left behind; lastOutput bounds that reading when those go on to write.
	quietAfterExit = 50 * time.Millisecond
	lastOutput     = 2 * time.Second
	reopenWait     = 100 * time.Millisecond
	// hangupGrace is how long processes may take to end by SIGHUP before SIGKILL.
	hangupGrace = time.Second
	hangupPoll  = 20 * time.Millisecond
)

// pty is one terminal: a process with its session, its PTY and its stream.
type pty struct {
	id      string
	kind    terminal.Kind
	title   string
	started time.Time
	pid     int // also the session's and first group's id
	master  *os.File
	stream  *terminal.Stream
	input   *inputQueue
	gone    chan struct{} // closed when the process has been reaped
	drained chan struct{} // closed when the last output was read

	mu     sync.Mutex
	exited time.Time // zero while the process runs
}

func startPTY(opts Options, children *children, o terminal.Options) (*pty, error) {
	master, slave, err := openPTY(opts, o.Size)
	if err != nil {
		return nil, startError(err)
	}
	defer slave.Close()
	path, argv := command(o)
	tty := slave.Fd()
	pid, done, err := children.start(path, argv, &syscall.ProcAttr{
		Dir: o.Dir, Env: opts.environment(), Files: []uintptr{tty, tty, tty},
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0, Credential: opts.credential()},
	})
	if err != nil {
		master.Close()
		return nil, startError(err)
	}
	p := &pty{id: o.ID, kind: o.Kind, title: o.Title, started: time.Now().UTC(), pid: pid, master: master,
		gone: make(chan struct{}), drained: make(chan struct{})}
	p.stream = terminal.NewStream(o.Size, p.resize)
	p.input = newInputQueue(master)
	go p.read()
	go p.await(done)
	return p, nil
}

// command returns what to execute. A program without a slash is looked up by env, as the user, with the user's rights.
func command(o terminal.Options) (path string, argv []string) {
	switch {
	case o.Kind == terminal.Shell && len(o.Argv) == 0:
		return "/bin/bash", []string{"bash", "-l"}
	case strings.Contains(o.Argv[0], "/"):
		return o.Argv[0], o.Argv
	default:
		return "/usr/bin/env", append([]string{"env"}, o.Argv...)
	}
}

func (p *pty) state() terminal.State {
	end, exit := p.stream.Position()
	return terminal.State{ID: p.id, Kind: p.kind, Title: p.title, Size: p.stream.Size(), Started: p.started, End: end, Exit: exit,
		Busy: exit == nil && (p.kind == terminal.Run || p.signal(0) > 1)}
}

// resize is called by the stream. A master that is closed already needs no size.
func (p *pty) resize(size terminal.Size) {
	if raw, err := p.master.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = setSize(int(fd), size) })
	}
}

// read moves output from the PTY to the stream until the device is gone. Nothing else reads the master.
func (p *pty) read() {
	defer close(p.drained)
	buf := make([]byte, terminal.MaxFrame)
	for p.stream.Await() {
		last := p.over()
		if last {
			p.setDeadline(0)
		}
		n, err := p.master.Read(buf)
		if n >= gatherFrom && err == nil {
			n, err = p.gather(buf, n)
		}
		if n > 0 {
			p.stream.Write(buf[:n])
		}
		switch {
		case err == nil:
		case last:
			return // quiet, or EIO: nobody holds the device any more
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.setDeadline(0)
		case errors.Is(err, unix.EIO):
			// Every process has closed the device, but one may open it again as long as ours lives.
			select {
			case <-p.gone:
			case <-time.After(reopenWait):
			}
		default:
			return
		}
	}
}

// gather adds to a large read what comes within a moment: half the frames, half the work for everyone behind.
func (p *pty) gather(buf []byte, n int) (int, error) {
	p.setDeadline(gatherFor)
	for n < len(buf) {
		more, err := p.master.Read(buf[n:])
		n += more
		if err != nil {
			return n, err
		}
	}
	p.setDeadline(0)
	return n, nil
}

// setDeadline bounds the next reads by d, or not at all for 0; after the exit always by quietAfterExit.
func (p *pty) setDeadline(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var at time.Time
	switch {
	case !p.exited.IsZero():
		at = time.Now().Add(quietAfterExit)
		if last := p.exited.Add(lastOutput); at.After(last) {
			at = last
		}
	case d > 0:
		at = time.Now().Add(d)
	}
	_ = p.master.SetReadDeadline(at) // fails on a closed master, whose next read says so
}

// over reports whether the process has exited.
func (p *pty) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.exited.IsZero()
}

// await tends the end: the process is reaped, its last output read, and then its viewers are told.
func (p *pty) await(done <-chan syscall.WaitStatus) {
	status := <-done
	at := time.Now()
	p.mu.Lock()
	p.exited = at
	p.mu.Unlock()
	close(p.gone)
	p.stream.Release()
	_ = p.master.SetReadDeadline(at) // wakes the reader, which sets its own from now on
	<-p.drained
	p.input.close()
	p.master.Close()
	exit := terminal.Exit{Code: status.ExitStatus(), At: at.UTC()}
	if status.Signaled() {
		exit.Code, exit.Signal = -1, unix.SignalName(status.Signal())
	}
	p.stream.End(exit)
}

// end hangs up on every process of the terminal's session, kills what does not listen, and closes the stream.
func (p *pty) end() {
	p.stream.Close()
	p.signal(unix.SIGHUP)
	p.signal(unix.SIGCONT) // a stopped process cannot hear the hang-up
	go func() {
		for tries := hangupGrace / hangupPoll; tries > 0 && p.signal(0) > 0; tries-- {
			time.Sleep(hangupPoll)
		}
		p.signal(unix.SIGKILL)
	}()
}

// signal reaches every process of the terminal's session and returns how many there are.
func (p *pty) signal(signal unix.Signal) int {
	select {
	case <-p.gone:
		// A session outlives its leader, and its number is not given away before it is empty. A leader with the number
		// is another one, so ours is empty.
		if sessionOf(p.pid) == p.pid {
			return 0
		}
	default:
	}
	return signalSession(p.pid, signal)
}
