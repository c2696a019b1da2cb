package agent

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"vivarium/internal/agent/files"
	"vivarium/internal/agentproto"
)

// worker is the process that does the file work with the user's rights. The agent holds the socket that it listens on: a
// question asked while the worker is being started again waits in it.
type worker struct {
	opts     Options
	children *children
	listener *os.File
	proxy    *httputil.ReverseProxy
}

// Times between two starts of a worker: at once at first, so that a killed worker is hardly noticed.
const (
	restartFirst = 10 * time.Millisecond
	restartMost  = time.Second
	steady       = 5 * time.Second // a worker that lived so long was sound
)

// workerFD is the number of the listening socket in the worker.
const workerFD = 3

func startWorker(opts Options, children *children) (*worker, error) {
	address := &net.UnixAddr{Name: "@vivarium-files-" + rand.Text(), Net: "unix"}
	listener, err := net.ListenUnix("unix", address)
	if err != nil {
		return nil, err
	}
	defer listener.Close() // the duplicate goes on
	file, err := listener.File()
	if err != nil {
		return nil, err
	}
	w := &worker{opts: opts, children: children, listener: file}
	w.proxy = newProxy(address, opts.Log)
	go w.keep()
	return w, nil
}

// keep starts the worker whenever there is none. Its user may kill it at any time.
func (w *worker) keep() {
	wait := restartFirst
	for {
		begun := time.Now()
		done, err := w.start()
		if err == nil {
			status := <-done
			w.opts.Log.Warn("the file worker ended", "status", status)
		} else {
			w.opts.Log.Warn("cannot start the file worker", "err", err)
		}
		if time.Since(begun) > steady {
			wait = restartFirst
		}
		time.Sleep(wait)
		wait = min(2*wait, restartMost)
	}
}

func (w *worker) start() (<-chan syscall.WaitStatus, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	argv := []string{"vivarium-agent", "files", "-root", w.opts.Root}
	_, done, err := w.children.start(w.opts.Self, argv, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=/usr/bin:/bin", "HOME=" + w.opts.Home},
		Files: []uintptr{null.Fd(), null.Fd(), os.Stderr.Fd(), w.listener.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: w.opts.credential()},
	})
	return done, err
}

func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w.proxy.ServeHTTP(rw, r) }

// newProxy passes requests on to the worker. Each has a connection of its own, which dies with its request.
func newProxy(address *net.UnixAddr, log *slog.Logger) *httputil.ReverseProxy {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", address.Name)
		},
		DisableKeepAlives: true, DisableCompression: true,
		WriteBufferSize: agentproto.MaxData, ReadBufferSize: agentproto.MaxData,
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "files"}) },
		// Lines of a watch are passed on as they come.
		FlushInterval: -1,
		Transport:     again{transport},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			unavailable := &agentproto.Error{Kind: agentproto.Unavailable, Message: "the sandbox's file worker is being restarted"}
			agentproto.Answer(w, unavailable.Status(), unavailable)
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// again asks once more when the worker died over a question that changes nothing.
type again struct{ next http.RoundTripper }

func (a again) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(r)
	if err == nil || r.Context().Err() != nil || r.Method != http.MethodGet || strings.HasSuffix(r.URL.Path, "/watch") {
		return response, err
	}
	return a.next.RoundTrip(r)
}

// Files is the worker's own program: it answers on the socket that the agent gave it and ends when that is closed.
func Files(root string, log *slog.Logger) error {
	listener, err := net.FileListener(os.NewFile(workerFD, "listener"))
	if err != nil {
		return err
	}
	handler, err := files.New(root, log)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return server.Serve(listener)
}
