// Package httpapi is everything that the server says over HTTP: the operations of the API, the two WebSockets, the web
// client's files, health and metrics. It decides no rights itself, and shows no error that is not a fault: it asks the
// services, and one function words their answers. It must never log a body, a cookie or a query, and never serve what a user
// stored as active content.
package httpapi

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// Sessions starts and ends sandboxes.
type Sessions interface {
	Start(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.Session, error)
	End(ctx context.Context, p auth.Principal, ws uuid.UUID, reason string) error
	Restart(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.Session, error)
	// Discard has no check of rights: the caller has done it.
	Discard(ctx context.Context, ws uuid.UUID) error
}

// Terminals opens terminals in live sessions and attaches viewers to them.
type Terminals interface {
	OpenTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, size terminal.Size) (terminal.State, error)
	Run(ctx context.Context, p auth.Principal, ws uuid.UUID, file string, size terminal.Size) (terminal.State, error)
	CloseTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, id string) error
	Attach(ctx context.Context, p auth.Principal, ws uuid.UUID, id string, o terminal.AttachOptions) (terminal.Attachment, terminal.State, error)
}

// Views tells what there is to know about live sessions.
type Views interface {
	View(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.View, error)
	Watch(ctx context.Context, p auth.Principal, ws uuid.UUID) (<-chan struct{}, func(), error)
	Live(workspaces []uuid.UUID) map[uuid.UUID]session.Session
	Count() int
}

// Check is one thing that must work for the server to be ready.
type Check struct {
	Name string
	Test func(ctx context.Context) error
}

// Config is what an API works with. Only Web, TrustedProxies, Ready and ExtraOrigins may be empty.
type Config struct {
	Auth      *auth.Service
	Files     *workspace.Service
	Sessions  Sessions
	Terminals Terminals
	Views     Views
	Audit     audit.Store
	Limits    Limits // what GET /limits answers
	Log       *slog.Logger
	Metrics   *prometheus.Registry // the API adds its own collectors and serves all of them
	Version   string

	PublicURL      *url.URL       // how people reach the server: scheme and host
	Hosts          []string       // every Host header that is answered, with its port where it has one
	Origins        []string       // every Origin that may change state or open a socket
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Web            fs.FS          // the exported web client; nil or without an index.html: a page that says how to build it
	Ready          []Check
}

// API is the server's http.Handler.
type API struct {
	cfg     Config
	log     *slog.Logger
	mux     *http.ServeMux
	huma    huma.API
	hosts   map[string]bool
	origins map[string]bool
	static  *static
	sockets *sockets
	metrics *metrics
	denials *bucket // bounds the audit events that strangers can cause
	uploads *uploads
	openapi []byte
	page    referencePage
}

// prefix is where all operations are.
const prefix = "/api/v1"

// New returns the API. It fails when the web client's files cannot be read.
func New(cfg Config) (*API, error) {
	a := &API{cfg: cfg, log: cfg.Log, hosts: set(cfg.Hosts), origins: set(cfg.Origins)}
	a.denials = newBucket(20, 200)
	a.uploads = newUploads()
	a.metrics = newMetrics(cfg)
	a.sockets = newSockets(a)
	if err := a.register(); err != nil {
		return nil, err
	}
	var err error
	if a.static, err = newStatic(cfg.Web, cfg.PublicURL); err != nil {
		return nil, err
	}
	return a, nil
}

// Document returns the OpenAPI document. It needs no services.
func Document(version string) ([]byte, error) {
	a := &API{cfg: Config{Version: version}}
	if err := a.register(); err != nil {
		return nil, err
	}
	return a.openapi, nil
}

// Close closes all sockets with 1001 and waits until their handlers have returned, or the context ends. Requests that come
// later are answered, but open no socket.
func (a *API) Close(ctx context.Context) error { return a.sockets.close(ctx) }

// register puts every route on the mux and describes it.
func (a *API) register() error {
	replaceHumaErrors()
	a.mux = http.NewServeMux()
	a.huma = humago.NewWithPrefix(a.mux, prefix, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Vivarium",
				Version: a.cfg.Version,
				Description: "Isolated Python workspaces. Every error is application/problem+json. Paths of files are percent-encoded " +
					"part by part; the slashes between the parts stay. The WebSockets' messages are in docs/protocol.md.",
			},
			Servers: []*huma.Server{{URL: prefix}},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"login": {Type: "apiKey", In: "cookie", Name: "__Host-vivarium",
						Description: "Set by login. Its name is \"vivarium\" where the server is reached over plain HTTP."},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	a.registerAuth()
	a.registerMeta()
	a.registerWorkspaces()
	a.registerFiles()
	a.registerSessions()
	a.registerTerminals()
	a.registerEvents()
	a.describeMessages()
	if err := a.registerDocument(); err != nil {
		return err
	}
	a.registerOperations()
	a.mux.HandleFunc("/api/", a.noRoute)
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { a.static.ServeHTTP(w, r) })
	return nil
}

func set(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, one := range list {
		m[one] = true
	}
	return m
}
