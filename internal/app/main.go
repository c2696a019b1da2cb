package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"vivarium/internal/agentclient"
	"vivarium/internal/agentproto"
	"vivarium/internal/auth"
	"vivarium/internal/config"
	"vivarium/internal/httpapi"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/internal/session"
	"vivarium/internal/workspace"
	"vivarium/web"
)

// loginLife is how long a login lasts.
var loginLife = auth.Lifetime{Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}

// lease is how long the sessions of a server that hangs stay its own.
const lease = 30 * time.Second

// How long each step of a stop may take; together less than the 10 s that a service manager grants.
const (
	stopSockets  = 3 * time.Second
	stopRequests = 4 * time.Second
)

// Options are what tests replace.
type Options struct {
	// Driver makes the sandboxes instead of gVisor.
	Driver sandbox.Driver
	// Connect connects to their agents instead of agentclient.
	Connect session.Connect
}

// Main is the whole server: New, Run, and in the end Close. Run starts in order, Close stops in reverse; after an error of
// Run everything that had begun is stopped already.
type Main struct {
	cfg     config.Config
	options Options
	log     *slog.Logger
	failed  chan error
	stops   []func() // of what runs, in the order of the starts
	closing sync.Once

	site       config.Site
	setupToken string
	auth       *auth.Service
	files      *workspace.Service
	sessions   *session.Service
}

// New returns a server that has not been started. cfg must be complete and valid.
func New(cfg config.Config, log *slog.Logger, options Options) *Main {
	return &Main{cfg: cfg, options: options, log: log, failed: make(chan error, 1)}
}

// Run starts everything and returns when requests are answered. The context bounds the start only.
func (m *Main) Run(ctx context.Context) error {
	begun := time.Now()
	if err := m.start(ctx); err != nil {
		m.Close()
		return err
	}
	m.log.Info("serving", "url", m.URL(), "took", time.Since(begun).Round(time.Millisecond), "version", Version())
	return nil
}

// Failed delivers an error that ends the server while it runs.
func (m *Main) Failed() <-chan error { return m.failed }

// URL is where people reach the server.
func (m *Main) URL() string { return m.site.URL.String() }

// SetupURL is the one-time link for making the first account, and empty when there is one. The token is in the fragment,
// which browsers do not send, so that it is in nobody's log.
func (m *Main) SetupURL() string {
	if m.setupToken == "" {
		return ""
	}
	return m.URL() + "/setup#token=" + m.setupToken
}

// Close stops everything in reverse. Sandboxes go on for the next server.
func (m *Main) Close() {
	m.closing.Do(func() {
		for i := len(m.stops) - 1; i >= 0; i-- {
			m.stops[i]()
		}
	})
}

func (m *Main) stop(f func()) { m.stops = append(m.stops, f) }

func (m *Main) start(ctx context.Context) error {
	data, err := openFolder(m.cfg.DataDir)
	if err != nil {
		return err
	}
	m.stop(data.close)
	listener, err := m.listen(ctx)
	if err != nil {
		return err
	}
	m.stop(func() { _ = listener.Close() }) // the HTTP server has closed it, unless the start failed
	if m.site, err = m.cfg.Site(listener.Addr().(*net.TCPAddr).Port); err != nil {
		return err
	}
	keys, db, err := loadKeys(ctx, data.path("keys.json"), func() (*database, error) {
		return openDatabase(ctx, m.cfg, data.path("postgres"), m.log)
	})
	if db != nil {
		m.stop(func() { db.close(m.log) })
	}
	if err != nil {
		return err
	}
	installation, err := db.Installation(ctx)
	if err != nil {
		return err
	}
	if err := m.startDomain(ctx, db, keys, installation.ID, data); err != nil {
		return err
	}
	if m.setupToken, err = m.auth.SetupToken(ctx); err != nil {
		return err
	}
	return m.serve(db, listener)
}

// startDomain makes the services and goes on with the sandboxes that an earlier server left.
func (m *Main) startDomain(ctx context.Context, db *database, keys *workspace.Keys, installation uuid.UUID, data *folder) error {
	m.auth = auth.New(auth.Config{Store: db.DB, Registration: m.cfg.Registration == "open", Life: loginLife, Log: m.log})
	m.files = workspace.New(workspace.Config{Store: db.DB, Keys: keys, Log: m.log, Limits: workspace.Limits{
		FileBytes: int64(m.cfg.FileBytes), WorkspaceBytes: int64(m.cfg.WorkspaceBytes), Items: m.cfg.WorkspaceItems, Workspaces: m.cfg.Workspaces}})
	if m.options.Driver == nil {
		driver, err := oci.New(ctx, m.driverConfig(installation, data))
		if err != nil {
			return err
		}
		if !slices.Contains(driver.Capabilities().Isolations, sandbox.Isolation(m.cfg.Isolation)) {
			return fmt.Errorf("sandboxes with the isolation %s (--isolation) cannot be made on this machine: `vivarium doctor` says what is missing", m.cfg.Isolation)
		}
		m.options.Driver = driver
	}
	if m.options.Connect == nil {
		m.options.Connect = m.connect
	}
	m.log.Info("sandboxes", "runtime", m.options.Driver.Capabilities().Runtime, "isolation", m.cfg.Isolation)
	server := uuid.New()
	release, err := db.HoldServer(ctx, server)
	if err != nil {
		return err
	}
	m.stop(release)
	m.sessions = session.New(session.Config{Store: db.DB, Driver: m.options.Driver, Connect: m.options.Connect, Files: m.files,
		Isolation: sandbox.Isolation(m.cfg.Isolation), Limits: m.limits(), Policy: m.policy(), Server: server, Lease: lease, Log: m.log})
	m.stop(m.sessions.Close)
	if m.cfg.EndSessions {
		m.stop(m.endSessions)
	}
	return m.sessions.Recover(ctx)
}

func (m *Main) driverConfig(installation uuid.UUID, data *folder) oci.Config {
	return runtimesOf(m.cfg, oci.Config{Dir: data.path("sandboxes"), Installation: installation.String(), RootFS: m.cfg.RootFS,
		Agent: m.cfg.Agent, Log: m.log})
}

// runtimesOf adds the runtime of the chosen isolation. The other one is left out: a sandbox of it is not made by mistake, and
// doctor does not ask for what it would need.
func runtimesOf(cfg config.Config, driver oci.Config) oci.Config {
	if cfg.Isolation == string(sandbox.Runc) {
		driver.Runc = cfg.Runc
	} else {
		driver.Runsc = cfg.Runsc
	}
	return driver
}

func (m *Main) limits() sandbox.Limits {
	return sandbox.Limits{CPUs: m.cfg.SandboxCPUs, MemoryBytes: int64(m.cfg.SandboxMemory), Processes: m.cfg.SandboxProcs,
		DiskBytes: int64(m.cfg.SandboxDisk), HomeBytes: int64(m.cfg.SandboxHome)}
}

// sessionWarning is how long before its end by age a session's pages are told.
const sessionWarning = 10 * time.Minute

// endTimeout bounds the end of all sessions at a stop: their last changes are stored first.
const endTimeout = time.Minute

func (m *Main) policy() session.Policy {
	return session.Policy{IdleAfter: m.cfg.IdleAfter, MaxAge: m.cfg.SessionMaxAge, Warning: sessionWarning, PerUser: m.cfg.UserSessions,
		Total: m.cfg.Sessions, StartsPerMinute: m.cfg.UserStarts}
}

func (m *Main) endSessions() {
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := m.sessions.EndAll(ctx, "The server was stopped. Your files are stored."); err != nil {
		m.log.Warn("not all sessions could be ended", "err", err)
	}
}

func (m *Main) connect(ctx context.Context, stream io.ReadWriteCloser) (session.Agent, error) {
	return agentclient.Connect(ctx, stream, agentclient.Options{Isolation: m.cfg.Isolation, MaxFile: int64(m.cfg.FileBytes), Log: m.log})
}

// listen takes the port before anything slow is begun, so that a second server says at once what is wrong.
func (m *Main) listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", m.cfg.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use by another program. Stop that one, or choose another port with --listen", m.cfg.Listen)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listening on %s is not allowed: ports below 1024 need root. Choose another with --listen", m.cfg.Listen)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("this machine has no address %s. Choose another with --listen", m.cfg.Listen)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", m.cfg.Listen, err)
	}
	return listener, nil
}

// serve answers requests on the listener until the stop.
func (m *Main) serve(db *database, listener net.Listener) error {
	pages, err := web.Dist()
	if err != nil {
		return err
	}
	proxies, err := m.cfg.Proxies()
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newPoolCollector(db.DB))
	api, err := httpapi.New(httpapi.Config{
		Auth: m.auth, Files: m.files, Sessions: m.sessions, Terminals: m.sessions, Views: m.sessions, Audit: db.DB, Limits: m.shownLimits(),
		Log: m.log, Metrics: registry, Version: Version(), PublicURL: m.site.URL, Hosts: m.site.Hosts, Origins: m.site.Origins,
		TrustedProxies: proxies, Web: pages,
		Ready: []httpapi.Check{
			{Name: "database", Test: db.Ping},
			{Name: "driver", Test: func(ctx context.Context) error {
				_, err := m.options.Driver.List(ctx)
				return err
			}},
		},
	})
	if err != nil {
		return err
	}
	base, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           api,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		WriteTimeout:      5 * time.Minute, // for a client that does not read its answer; lifted for WebSockets
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(m.log.Handler(), slog.LevelDebug), // broken handshakes and the like: strangers' doings
	}
	serve := func() error { return server.Serve(listener) }
	if m.cfg.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(m.cfg.TLSCert, m.cfg.TLSKey)
		if err != nil {
			cancel()
			return fmt.Errorf("the certificate and its key (--tls-cert, --tls-key) cannot be used: %w", err)
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		serve = func() error { return server.ServeTLS(listener, "", "") }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			m.failed <- fmt.Errorf("the HTTP server has ended: %w", err)
		}
	}()
	m.stop(func() {
		m.stopServing(server, api, cancel)
		<-done
	})
	return nil
}

// stopServing takes no new requests, says goodbye to the sockets, lets the requests at work end, and cuts those that do not.
func (m *Main) stopServing(server *http.Server, api *httpapi.API, cancel context.CancelFunc) {
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, stop := context.WithTimeout(context.Background(), stopSockets)
		defer stop()
		if err := api.Close(ctx); err != nil {
			m.log.Warn("some connections did not close in time", "err", err)
		}
	})
	ctx, stop := context.WithTimeout(context.Background(), stopRequests)
	defer stop()
	late := time.AfterFunc(stopRequests/2, cancel) // a save takes milliseconds; a sandbox that starts is given up
	defer late.Stop()
	err := server.Shutdown(ctx)
	cancel()
	if err != nil {
		m.log.Warn("some requests did not end in time", "err", err)
		_ = server.Close() // Shutdown's error says it already
	}
	wg.Wait()
}

func (m *Main) shownLimits() httpapi.Limits {
	return httpapi.Limits{
		FileBytes: int64(m.cfg.FileBytes), WorkspaceBytes: int64(m.cfg.WorkspaceBytes), WorkspaceItems: m.cfg.WorkspaceItems,
		Workspaces: m.cfg.Workspaces, PathBytes: workspace.MaxPathBytes, NameBytes: workspace.MaxNameBytes, PathDepth: workspace.MaxPathDepth,
		Terminals: agentproto.MaxTerminals,
		Sandbox: httpapi.SandboxLimits{CPUs: m.cfg.SandboxCPUs, MemoryBytes: int64(m.cfg.SandboxMemory), Processes: m.cfg.SandboxProcs,
			DiskBytes: int64(m.cfg.SandboxDisk), HomeBytes: int64(m.cfg.SandboxHome)},
	}
}
