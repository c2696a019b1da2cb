package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"vivarium/internal/config"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "a long enough password"

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

// installation is a data folder and a database, for one server after the other.
type installation struct {
	t   *testing.T
	cfg config.Config
	log *lockedBuffer
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.DataDir = "127.0.0.1:0", filepath.Join(t.TempDir(), "data")
	cfg.DatabaseURL = config.Secret(postgrestest.Empty(t))
	i := &installation{t: t, cfg: cfg, log: &lockedBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(i.log.String())
		}
	})
	return i
}

func (i *installation) server() *Main {
	driver := sandboxtest.NewFake(func(_ string, stream io.ReadWriteCloser) { _, _ = io.Copy(io.Discard, stream) })
	return New(i.cfg, slog.New(slog.NewTextHandler(i.log, nil)), Options{Driver: driver})
}

func (i *installation) start() *Main {
	i.t.Helper()
	m := i.server()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := m.Run(ctx); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(m.Close)
	return m
}

// refused wants the start to fail with words.
func (i *installation) refused(words ...string) {
	i.t.Helper()
	m := i.server()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := m.Run(ctx)
	if err == nil {
		m.Close()
		i.t.Fatal("the server starts")
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			i.t.Errorf("want %q in: %v", word, err)
		}
	}
}

var client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ask sends a request and returns the status, the body and the cookie that was set.
func ask(t *testing.T, method, url, cookie, body string) (int, string, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	set, _, _ := strings.Cut(response.Header.Get("Set-Cookie"), ";")
	return response.StatusCode, string(text), set
}

func setup(t *testing.T, m *Main) string {
	t.Helper()
	_, token, ok := strings.Cut(m.SetupURL(), "#token=")
	if !ok {
		t.Fatalf("want a link with a token, got %q", m.SetupURL())
	}
	status, body, cookie := ask(t, "POST", m.URL()+"/api/v1/auth/setup", "", fmt.Sprintf(`{"token":%q,"username":"ada","password":%q}`, token, password))
	if status != 201 || cookie == "" {
		t.Fatalf("setup: %d %s", status, body)
	}
	return cookie
}

func TestAFirstStartEndsWithALinkForTheFirstAccount(t *testing.T) {
	i := newInstallation(t)
	m := i.start()
	if !strings.HasPrefix(m.SetupURL(), m.URL()+"/setup#token=") {
		t.Errorf("got %s", m.SetupURL())
	}
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/", "/metrics"} {
		if status, body, _ := ask(t, "GET", m.URL()+path, "", ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	link := m.SetupURL()
	cookie := setup(t, m)
	if status, _, _ := ask(t, "POST", m.URL()+"/api/v1/workspaces", cookie, `{"name":"mine"}`); status != 201 {
		t.Errorf("want a workspace made, got %d", status)
	}
	if _, token, _ := strings.Cut(link, "#token="); strings.Contains(i.log.String(), token) {
		t.Error("the log holds the token")
	}
	m.Close()

	begun := time.Now()
	again := i.start()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the second start took %v", took)
	}
	if again.SetupURL() != "" {
		t.Error("there is an account, and still a link")
	}
	if status, body, _ := ask(t, "GET", again.URL()+"/api/v1/workspaces", cookie, ""); status != 200 || !strings.Contains(body, `"mine"`) {
		t.Errorf("want the login and the workspace kept, got %d %s", status, body)
	}
}

func TestD7_AStopEndsSocketsAndComesToAnEnd(t *testing.T) {
	i := newInstallation(t)
	m := i.start()
	cookie := setup(t, m)
	_, body, _ := ask(t, "POST", m.URL()+"/api/v1/workspaces", cookie, `{"name":"mine"}`)
	_, id, _ := strings.Cut(body, `"id":"`)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(m.URL(), "http", "ws", 1)+"/api/v1/workspaces/"+id[:36]+"/events",
		&websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{"Cookie": {cookie}, "Origin": {m.URL()}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	closed := make(chan error, 1)
	go func() {
		for {
			if _, _, err := conn.Read(ctx); err != nil {
				closed <- err
				return
			}
		}
	}()
	begun := time.Now()
	m.Close()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("want the socket closed with 1001, got %v", err)
	}
	if _, err := client.Get(m.URL() + "/healthz"); err == nil {
		t.Error("the server still answers")
	}
}

func TestOneServerPerDataFolder(t *testing.T) {
	i := newInstallation(t)
	m := i.start()
	i.refused("another Vivarium server uses this folder", i.cfg.DataDir)
	m.Close()
	i.start()
}

func TestAPortThatIsInUseIsNamed(t *testing.T) {
	i := newInstallation(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	i.cfg.Listen = listener.Addr().String()
	i.refused(i.cfg.Listen+" is in use", "--listen")
}

func TestADataFolderOfANewerProgramIsLeftAlone(t *testing.T) {
	i := newInstallation(t)
	i.start().Close()
	file := filepath.Join(i.cfg.DataDir, "VERSION")
	if err := os.WriteFile(file, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("newer Vivarium", i.cfg.DataDir)
	if err := os.WriteFile(file, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("damaged", file)
	if err := os.WriteFile(file, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i.start()
}

func TestC3_WithoutItsKeysAServerDoesNotStart(t *testing.T) {
	i := newInstallation(t)
	m := i.start()
	setup(t, m)
	m.Close()
	file := filepath.Join(i.cfg.DataDir, "keys.json")
	keys, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("want the keys for their owner only, got %v %v", info.Mode(), err)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	i.refused("no key file", "backup")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Error("a new key file was made for a database that is sealed with another")
	}
	if err := os.WriteFile(file, keys[:len(keys)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("damaged", "backup")

	other := newInstallation(t)
	other.start().Close()
	wrong, err := os.ReadFile(filepath.Join(other.cfg.DataDir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	i.refused("not the one that this database is encrypted with")
	if err := os.WriteFile(file, keys, 0o600); err != nil {
		t.Fatal(err)
	}
	i.start()
}

func TestMissingPiecesAreNamedWithWhatToDo(t *testing.T) {
	i := newInstallation(t)
	i.cfg.Runsc, i.cfg.RootFS, i.cfg.Agent = "/nonexistent/runsc", "/nonexistent/rootfs", "/nonexistent/agent"
	m := New(i.cfg, slog.New(slog.NewTextHandler(i.log, nil)), Options{})
	err := m.Run(context.Background())
	if err == nil {
		m.Close()
		t.Fatal("the server starts without gVisor")
	}
	if !strings.Contains(err.Error(), "Sandboxes cannot run on this machine") || !strings.Contains(err.Error(), "Build") && !strings.Contains(err.Error(), "root") {
		t.Errorf("want it said what to do, got: %v", err)
	}
	var found []string
	for _, f := range Doctor(context.Background(), i.cfg) {
		if !f.OK {
			found = append(found, f.Name)
			if f.Remedy == "" || f.Detail == "" {
				t.Errorf("%s has no remedy", f.Name)
			}
		}
	}
	for _, name := range []string{"gVisor", "root file system", "agent"} {
		if !strings.Contains(strings.Join(found, ","), name) {
			t.Errorf("want the doctor to find that %s is missing, got %v", name, found)
		}
	}
	i.cfg.DatabaseURL = "postgres://nobody@127.0.0.1:1/x?connect_timeout=1"
	i.refused("database")
}

func TestAccountsAreMadeWhetherOrNotAServerRuns(t *testing.T) {
	i := newInstallation(t)
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := AddUser(ctx, i.cfg, log, "ada", password, true); err != nil {
		t.Fatal(err)
	}
	m := i.start()
	if m.SetupURL() != "" {
		t.Error("there is an account, and still a link")
	}
	if _, err := AddUser(ctx, i.cfg, log, "eve", password, false); err != nil {
		t.Fatal(err)
	}
	if _, err := AddUser(ctx, i.cfg, log, "EVE", password, false); err == nil {
		t.Error("the name was given twice")
	}
	if users, err := Users(ctx, i.cfg, log); err != nil || len(users) != 2 || users[0].Username != "ada" || !users[0].Admin || users[1].Admin {
		t.Errorf("want ada, who administers, and eve, got %+v (%v)", users, err)
	}
	login := func(password string) (int, string) {
		status, _, cookie := ask(t, "POST", m.URL()+"/api/v1/auth/login", "", fmt.Sprintf(`{"username":"eve","password":%q}`, password))
		return status, cookie
	}
	status, cookie := login(password)
	if status != 200 {
		t.Fatalf("login: %d", status)
	}
	if err := ResetPassword(ctx, i.cfg, log, "eve", "another long password"); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ask(t, "GET", m.URL()+"/api/v1/auth/me", cookie, ""); status != 401 {
		t.Errorf("want the old login ended, got %d", status)
	}
	if status, _ := login("another long password"); status != 200 {
		t.Errorf("login with the new password: %d", status)
	}
	if err := Migrate(ctx, i.cfg, log); err != nil {
		t.Error(err)
	}
}

func TestTheEmbeddedDatabaseStartsAndStopsWithTheServer(t *testing.T) {
	dir, err := os.MkdirTemp("", "vivarium-app-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // the database runs as another user
		t.Fatal(err)
	}
	i := newInstallation(t)
	i.cfg.DatabaseURL, i.cfg.DataDir = "", filepath.Join(dir, "data")
	m := i.start()
	cookie := setup(t, m)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := AddUser(ctx, i.cfg, slog.New(slog.DiscardHandler), "eve", password, false); err != nil {
		t.Fatalf("an account beside the running server: %v", err)
	}
	if status, _, _ := ask(t, "GET", m.URL()+"/api/v1/auth/me", cookie, ""); status != 200 {
		t.Errorf("the database went with the tool: %d", status)
	}
	m.Close()
	if _, err := os.Stat(filepath.Join(i.cfg.DataDir, "postgres", "data", "postmaster.pid")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the database still runs: %v", err)
	}
	begun := time.Now()
	again := i.start()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the second start took %v", took)
	}
	if status, _, _ := ask(t, "GET", again.URL()+"/api/v1/auth/me", cookie, ""); status != 200 {
		t.Errorf("want the login kept, got %d", status)
	}
}

func TestB5_HeadersAreBoundedInSizeAndTime(t *testing.T) {
	m := newInstallation(t).start()
	address := strings.Replace(strings.TrimPrefix(m.URL(), "http://"), "localhost", "127.0.0.1", 1)
	send := func(text string) (string, time.Duration) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		go func() { _, _ = io.WriteString(conn, text) }() // the server may cut it off
		answer, _ := io.ReadAll(conn)
		return string(answer), time.Since(begun)
	}
	if answer, _ := send("GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n"); answer != "" && !strings.Contains(answer, " 431 ") {
		t.Errorf("a megabyte of header: got %.100q", answer)
	}
	if answer, took := send("GET / HTTP/1.1\r\nHost: "); strings.Contains(answer, " 200 ") || took > 10*time.Second {
		t.Errorf("half a header: got %.100q after %v", answer, took)
	}
}
