package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

const (
	headerTimeout = 30 * time.Second
	acceptPause   = 100 * time.Millisecond
)

// Serve answers the server on the agent's own stdio and on its socket. It returns only when the socket cannot be had; the
// sandbox ends by its driver, never because the server went away.
func (a *Agent) Serve() error {
	ignoreSignals()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: a.opts.Socket, Net: "unix"})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.opts.Log.Handler(), slog.LevelDebug)}
	stdio, err := takeStdio()
	if err != nil {
		return err
	}
	go a.ServeConn(server, stdio)
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors or memory: both pass, and nothing may end the agent.
			a.opts.Log.Warn("cannot accept a connection", "err", err)
			time.Sleep(acceptPause)
			continue
		}
		if !ours(conn) {
			conn.Close()
			continue
		}
		go a.ServeConn(server, conn)
	}
}

// ServeConn serves one connection of the server until it is lost.
func (a *Agent) ServeConn(server *http.Server, conn io.ReadWriteCloser) {
	session, err := yamux.Server(conn, agentproto.Mux())
	if err != nil {
		conn.Close()
		return
	}
	defer session.Close()
	if err := server.Serve(session); err != nil {
		a.opts.Log.Info("a connection ended", "err", err)
	}
}

// ours reports whether the peer is the agent's own user: with uid 0 that is a bridge started from outside, because no
// process of the sandbox's user can become it.
func ours(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	allowed := false
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		allowed = err == nil && int(cred.Uid) == os.Getuid()
	})
	return err == nil && allowed
}

// ignoreSignals makes the agent deaf to what would end it. They are received and forgotten rather than ignored, because
// an ignored signal stays ignored in the processes that the agent starts. SIGPIPE is among them: for a broken stdio the
// runtime would end the program otherwise.
func ignoreSignals() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE, unix.SIGALRM, unix.SIGUSR1,
		unix.SIGUSR2, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGVTALRM, unix.SIGXCPU, unix.SIGIO, unix.SIGPWR)
	go func() {
		for range signals {
		}
	}()
}

// stdio is the agent's own stdin and stdout as one connection.
type stdio struct{ in, out *os.File }

// takeStdio moves stdin and stdout away from their numbers, which then lead nowhere, so that nothing that prints can
// disturb the frames, and closing the connection closes them for good.
func takeStdio() (*stdio, error) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(null)
	files := [2]*os.File{}
	for fd, name := range []string{"stdin", "stdout"} {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, err
		}
		// So that Close ends a Read that is under way.
		if err := unix.SetNonblock(moved, true); err != nil {
			return nil, err
		}
		files[fd] = os.NewFile(uintptr(moved), name)
		if err := unix.Dup3(null, fd, 0); err != nil {
			return nil, err
		}
	}
	return &stdio{in: files[0], out: files[1]}, nil
}

func (s *stdio) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *stdio) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *stdio) Close() error                { return errors.Join(s.in.Close(), s.out.Close()) }

// Connect bridges stdin and stdout to the agent's socket until either end is closed.
func Connect(ctx context.Context, socket string, in io.Reader, out io.Writer) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan error, 2)
	go func() {
		_, err := io.Copy(conn, in)
		ended <- err
	}()
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	return <-ended
}
