package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

const password = "a long enough password"

// world is a server on a real database, with sessions that are pretended.
type world struct {
	t        *testing.T
	api      *API
	url      string // as people reach it
	host     string
	auth     *auth.Service
	files    *workspace.Service
	sessions *fakeSessions
	audit    *auditLog
	log      *lockedBuffer
}

// auditLog counts what reaches the database's audit log beside other changes.
type auditLog struct {
	audit.Store
	mu     sync.Mutex
	events []audit.Event
}

func (a *auditLog) Append(ctx context.Context, e audit.Event) error {
	err := a.Store.Append(ctx, e)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.events = append(a.events, e)
	}
	return err
}

func (a *auditLog) denials(action string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, e := range a.events {
		if e.Action == action && e.Outcome == audit.Denied {
			n++
		}
	}
	return n
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// option changes the configuration of a world.
type option func(*Config)

func withWeb(files fs.FS) option { return func(c *Config) { c.Web = files } }

func withScheme(scheme string) option { return func(c *Config) { c.PublicURL.Scheme = scheme } }

func newWorld(t *testing.T, options ...option) *world {
	t.Helper()
	db := postgrestest.New(t)
	w := &world{t: t, audit: &auditLog{Store: db}, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	keys, err := workspace.LoadKeys(filepath.Join(t.TempDir(), "keys.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	w.auth = auth.New(auth.Config{Store: db, Registration: true, Log: log, Life: auth.Lifetime{Idle: time.Hour, Absolute: time.Hour}})
	w.files = workspace.New(workspace.Config{Store: db, Keys: keys, Log: log,
		Limits: workspace.Limits{FileBytes: 1 << 20, WorkspaceBytes: 8 << 20, Items: 100, Workspaces: 10}})
	w.sessions = &fakeSessions{files: w.files, terminals: map[string]*fakeTerminal{}}

	server := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.host = "localhost:" + port
	w.url = "http://" + w.host
	cfg := Config{Auth: w.auth, Files: w.files, Sessions: w.sessions, Terminals: w.sessions, Views: w.sessions, Audit: w.audit, Log: log,
		Metrics: prometheus.NewRegistry(), Version: "test", PublicURL: &url.URL{Scheme: "http", Host: w.host},
		Hosts: []string{w.host, "127.0.0.1:" + port}, Origins: []string{w.url},
		Limits: Limits{FileBytes: 1 << 20}, Ready: []Check{{Name: "database", Test: db.Ping}}}
	for _, o := range options {
		o(&cfg)
	}
	if w.api, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = w.api
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := w.api.Close(ctx); err != nil {
			t.Errorf("the sockets do not close: %v", err)
		}
		server.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return w
}

// person is somebody with a login, and a workspace of their own.
type person struct {
	*world
	name      string
	cookie    string
	workspace string
	principal auth.Principal
}

func (w *world) person(name string) *person {
	w.t.Helper()
	ctx := context.Background()
	_, token, err := w.auth.Register(ctx, name, password, "test", "192.0.2.1")
	if err != nil {
		w.t.Fatal(err)
	}
	principal, err := w.auth.Authenticate(ctx, token)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &person{world: w, name: name, cookie: w.api.cookieName() + "=" + token.Reveal(), principal: principal}
	one, err := w.files.Create(ctx, principal, name+"'s workspace", "")
	if err != nil {
		w.t.Fatal(err)
	}
	p.workspace = one.ID.String()
	return p
}

func (p *person) id() uuid.UUID { return uuid.MustParse(p.workspace) }

// answer is what a request came to.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != problemType {
		t.Fatalf("want a problem, got %d %s %q", a.status, got, a.body)
	}
	var p Problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != a.status || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") || p.Title == "" || p.Detail == "" {
		t.Errorf("want a whole problem with its status and request id, got %s", a.body)
	}
	return p
}

// do sends a request as it stands: the path is not cleaned, redirects are not followed. Headers are name and value in turn.
func (w *world) do(method, path, body string, headers ...string) answer {
	w.t.Helper()
	request, err := http.NewRequest(method, w.url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.URL.Opaque = path
	request.Host = w.host
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			request.Host = headers[i+1]
		default:
			request.Header.Add(headers[i], headers[i+1])
		}
	}
	return w.send(request)
}

var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}, Timeout: 30 * time.Second}

func (w *world) send(request *http.Request) answer {
	w.t.Helper()
	response, err := direct.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

// json sends JSON with the person's cookie.
func (p *person) json(method, path, body string, headers ...string) answer {
	p.t.Helper()
	return p.do(method, prefix+path, body, append([]string{"Cookie", p.cookie, "Content-Type", "application/json"}, headers...)...)
}

// file sends a request about a file of the person's workspace.
func (p *person) file(method, path, body string, headers ...string) answer {
	p.t.Helper()
	return p.do(method, prefix+"/workspaces/"+p.workspace+"/files/"+path, body, append([]string{"Cookie", p.cookie}, headers...)...)
}

func want(t *testing.T, what string, got answer, status int) answer {
	t.Helper()
	if got.status != status {
		t.Errorf("%s: want %d, got %d %s", what, status, got.status, got.body)
	}
	return got
}

// eventually waits until ok, and fails when it takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(limit) {
			t.Fatalf("it never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// fakeSessions pretends sandboxes. Rights are checked as the real ones do.
type fakeSessions struct {
	files *workspace.Service

	mu        sync.Mutex
	err       error // of everything but views
	view      session.View
	watchers  []chan struct{}
	terminals map[string]*fakeTerminal
	attached  []terminal.AttachOptions
	discarded int
}

func (f *fakeSessions) check(ctx context.Context, p auth.Principal, ws uuid.UUID) error {
	if _, err := f.files.Get(ctx, p, ws); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeSessions) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSessions) Start(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.Session, error) {
	return session.Session{ID: uuid.New(), WorkspaceID: ws, State: session.Running}, f.check(ctx, p, ws)
}

func (f *fakeSessions) End(ctx context.Context, p auth.Principal, ws uuid.UUID, _ string) error {
	return f.check(ctx, p, ws)
}

func (f *fakeSessions) Restart(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.Session, error) {
	return f.Start(ctx, p, ws)
}

func (f *fakeSessions) Discard(context.Context, uuid.UUID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.discarded++
	return nil
}

func (f *fakeSessions) OpenTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, size terminal.Size) (terminal.State, error) {
	return terminal.State{ID: uuid.NewString(), Kind: terminal.Shell, Title: "bash", Size: size}, f.check(ctx, p, ws)
}

func (f *fakeSessions) Run(ctx context.Context, p auth.Principal, ws uuid.UUID, file string, size terminal.Size) (terminal.State, error) {
	return terminal.State{ID: uuid.NewString(), Kind: terminal.Run, Title: file, Size: size}, f.check(ctx, p, ws)
}

func (f *fakeSessions) CloseTerminal(ctx context.Context, p auth.Principal, ws uuid.UUID, id string) error {
	if err := f.check(ctx, p, ws); err != nil {
		return err
	}
	if f.find(id) == nil {
		return fault.New(fault.NotFound, "There is no such terminal.")
	}
	return nil
}

func (f *fakeSessions) find(id string) *fakeTerminal {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.terminals[id]
}

func (f *fakeSessions) Attach(ctx context.Context, p auth.Principal, ws uuid.UUID, id string, o terminal.AttachOptions) (terminal.Attachment, terminal.State, error) {
	if err := f.check(ctx, p, ws); err != nil {
		return nil, terminal.State{}, err
	}
	t := f.find(id)
	if t == nil {
		return nil, terminal.State{}, fault.New(fault.NotFound, "There is no such terminal.")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.attached = append(f.attached, o)
	return t, t.state, nil
}

func (f *fakeSessions) attachments() []terminal.AttachOptions {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.attached)
}

func (f *fakeSessions) View(ctx context.Context, p auth.Principal, ws uuid.UUID) (session.View, error) {
	if _, err := f.files.Get(ctx, p, ws); err != nil {
		return session.View{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.view, nil
}

func (f *fakeSessions) set(v session.View) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view = v
	for _, c := range f.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func (f *fakeSessions) Watch(ctx context.Context, p auth.Principal, ws uuid.UUID) (<-chan struct{}, func(), error) {
	if _, err := f.files.Get(ctx, p, ws); err != nil {
		return nil, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{}, 1)
	f.watchers = append(f.watchers, c)
	return c, func() {}, nil
}

func (f *fakeSessions) Live([]uuid.UUID) map[uuid.UUID]session.Session { return nil }

func (f *fakeSessions) Count() int { return 0 }

// fakeTerminal is one viewer's attachment to a terminal that a test plays.
type fakeTerminal struct {
	state  terminal.State
	events chan terminal.Event
	broken chan struct{} // closed: the connection to the agent is lost

	mu      sync.Mutex
	input   []byte
	resizes []terminal.Size
	acks    []uint64
	closed  chan struct{}
	end     sync.Once
}

func (w *world) terminal(end uint64) *fakeTerminal {
	t := &fakeTerminal{state: terminal.State{ID: uuid.NewString(), Kind: terminal.Shell, Title: "bash", End: end},
		events: make(chan terminal.Event), broken: make(chan struct{}), closed: make(chan struct{})}
	w.sessions.mu.Lock()
	defer w.sessions.mu.Unlock()
	w.sessions.terminals[t.state.ID] = t
	return t
}

func (f *fakeTerminal) Next() (terminal.Event, error) {
	select {
	case e, ok := <-f.events:
		if !ok {
			return e, io.EOF
		}
		return e, nil
	case <-f.broken:
		return terminal.Event{}, errors.New("lost the agent at /run/secret")
	case <-f.closed:
		return terminal.Event{}, net.ErrClosed
	}
}

func (f *fakeTerminal) emit(t *testing.T, e terminal.Event) {
	t.Helper()
	select {
	case f.events <- e:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody takes the terminal's output")
	}
}

func (f *fakeTerminal) Input(p []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.input = append(f.input, p...)
	return nil
}

func (f *fakeTerminal) typed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.input)
}

func (f *fakeTerminal) Resize(size terminal.Size) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resizes = append(f.resizes, size)
	return nil
}

func (f *fakeTerminal) sizes() []terminal.Size {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.resizes)
}

func (f *fakeTerminal) Ack(seq uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acks = append(f.acks, seq)
	return nil
}

func (f *fakeTerminal) acked() []uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.acks)
}

func (f *fakeTerminal) Close() error {
	f.end.Do(func() { close(f.closed) })
	return nil
}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, one := range list {
		out[i] = netip.MustParsePrefix(one)
	}
	return out
}

func failing(context.Context) error { return errors.New("no route to 10.1.2.3") }
