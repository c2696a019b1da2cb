package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"vivarium/internal/session"
	"vivarium/internal/terminal"
)

// page is a browser's end of a socket.
type page struct {
	t    *testing.T
	conn *websocket.Conn
}

func (p *person) dial(path string, headers ...string) *page {
	p.t.Helper()
	conn, response, err := p.tryDial(path, headers...)
	if err != nil {
		status := 0
		if response != nil {
			status = response.StatusCode
		}
		p.t.Fatalf("cannot open %s: %d %v", path, status, err)
	}
	return &page{p.t, conn}
}

func (p *person) tryDial(path string, headers ...string) (*websocket.Conn, *http.Response, error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	h := http.Header{"Cookie": {p.cookie}, "Origin": {p.url}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	conn, response, err := websocket.Dial(ctx, "ws://"+p.host+prefix+"/workspaces/"+p.workspace+path,
		&websocket.DialOptions{HTTPHeader: h, HTTPClient: direct, CompressionMode: websocket.CompressionContextTakeover})
	if err == nil {
		conn.SetReadLimit(1 << 20)
		p.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, response, err
}

// next returns the next message: JSON as a map, bytes as they are.
func (p *page) next() (map[string]any, []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	kind, data, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatalf("want a message, got %v", err)
	}
	if kind == websocket.MessageBinary {
		return nil, data
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		p.t.Fatalf("%q: %v", data, err)
	}
	return m, nil
}

// message wants a JSON message of the type.
func (p *page) message(kind string) map[string]any {
	p.t.Helper()
	m, data := p.next()
	if m["type"] != kind {
		p.t.Fatalf("want the message %s, got %v %q", kind, m, data)
	}
	return m
}

func (p *page) send(kind websocket.MessageType, data string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.conn.Write(ctx, kind, []byte(data)); err != nil {
		p.t.Fatal(err)
	}
}

// closed reads until the socket ends, and wants the code.
func (p *page) closed(code websocket.StatusCode) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := p.conn.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != code {
				p.t.Fatalf("want the socket closed with %d, got %d: %v", code, got, err)
			}
			return
		}
	}
}

func TestW1_OnlyPagesOfThisServerOpenSockets(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	port := strings.Split(w.host, ":")[1]
	one := w.terminal(0)
	upgrade := []string{"Cookie", ada.cookie, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
		"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="}
	for _, path := range []string{"/events", "/terminals/" + one.state.ID} {
		denials := 0
		for name, headers := range map[string][]string{
			"another port": {"Origin", "http://localhost:1"}, "another scheme": {"Origin", "https://" + w.host}, "another name of this machine": {"Origin", "http://127.0.0.1:" + port},
			"evil": {"Origin", "http://evil.example"}, "good.evil": {"Origin", "http://" + w.host + ".evil.example"}, "evilgood": {"Origin", "http://evil" + w.host},
			"null": {"Origin", "null"}, "empty": {"Origin", ""}, "missing": {}, "upper case": {"Origin", strings.ToUpper(w.url)}, "a trailing dot": {"Origin", "http://localhost.:" + port},
			"a trailing slash": {"Origin", w.url + "/"}, "two": {"Origin", w.url, "Origin", "http://evil.example"}, "two in one": {"Origin", w.url + ", http://evil.example"},
			"an evil host": {"Origin", "http://evil.example", "Host", "evil.example"}, "an evil host only": {"Origin", w.url, "Host", "evil.example"},
		} {
			before := len(w.audit.events)
			got := w.do("GET", prefix+"/workspaces/"+ada.workspace+path, "", append(headers, upgrade...)...)
			want(t, path+" "+name, got, 403).problem(t)
			if n := len(w.audit.events) - before; n != 1 {
				t.Errorf("%s %s: want one audit event, got %d", path, name, n)
			}
			denials++
		}
		if denials != 16 {
			t.Fatal("rows got lost")
		}
	}
	if n := len(w.sessions.attachments()); n != 0 {
		t.Errorf("%d viewers were attached for strangers' pages", n)
	}
	ada.dial("/events").message("hello")
}

func TestW2_TheHandshakeHasTheRightsOfTheRoute(t *testing.T) {
	w := newWorld(t)
	ada, eve := w.person("ada"), w.person("eve")
	one := w.terminal(0)
	path := "/terminals/" + one.state.ID
	for _, c := range []struct {
		name, path string
		cookie     string
		status     int
	}{
		{"no cookie", path, "", 401}, {"a cookie that is none", path, "vivarium=vl_nothing", 401}, {"somebody else's workspace", path, eve.cookie, 404},
		{"somebody else's events", "/events", eve.cookie, 404}, {"no such terminal", "/terminals/" + uuid.NewString(), ada.cookie, 404},
		{"a terminal that cannot be", "/terminals/x", ada.cookie, 404},
		{"a token in the query, no cookie", path + "?token=" + strings.TrimPrefix(ada.cookie, "vivarium="), "", 401},
		{"a token in the query too", path + "?access_token=x", ada.cookie, 422}, {"a token in the query of events", "/events?token=x", ada.cookie, 422},
		{"a sequence number that is none", path + "?from=-1", ada.cookie, 422}, {"only one side of the size", path + "?cols=80", ada.cookie, 422},
		{"a size that is none", path + "?cols=NaN&rows=24", ada.cookie, 422},
	} {
		_, response, err := ada.tryDial(c.path, "Cookie", c.cookie)
		if err == nil || response == nil || response.StatusCode != c.status {
			t.Errorf("%s: want %d, got %v %v", c.name, c.status, response, err)
		}
	}
	want(t, "a plain GET", ada.json("GET", "/workspaces/"+ada.workspace+path, ""), 426).problem(t)
	want(t, "POST", ada.json("POST", "/workspaces/"+ada.workspace+path, "{}"), 405).problem(t)
	want(t, "POST to events", ada.json("POST", "/workspaces/"+ada.workspace+"/events", "{}"), 405).problem(t)
	if n := len(w.sessions.attachments()); n != 0 {
		t.Errorf("%d viewers were attached", n)
	}
}

func TestATerminalsSocketCarriesBytesBothWays(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	one := w.terminal(100)
	p := ada.dial("/terminals/" + one.state.ID + "?from=100&cols=100&rows=30")
	if m := p.message("attached"); m["seq"] != 100.0 || m["write"] != true || m["title"] != "bash" || m["kind"] != "shell" {
		t.Errorf("attached says %v", m)
	}
	if got := w.sessions.attachments()[0]; got != (terminal.AttachOptions{From: 100, Size: terminal.Size{Cols: 100, Rows: 30}, Write: true}) {
		t.Errorf("attached with %+v", got)
	}
	one.emit(t, terminal.Event{Seq: 100, Data: []byte("hello")})
	if _, data := p.next(); string(data) != "hello" {
		t.Errorf("want hello, got %q", data)
	}
	large := bytes.Repeat([]byte("x"), terminal.MaxFrame+10)
	one.emit(t, terminal.Event{Seq: 105, Data: large})
	_, first := p.next()
	_, second := p.next()
	if len(first) != terminal.MaxFrame || len(second) != 10 {
		t.Errorf("want frames of 64 KiB at most, got %d and %d", len(first), len(second))
	}
	p.send(websocket.MessageBinary, "ls\n")
	p.send(websocket.MessageBinary, "\x03\xff\x00")
	p.send(websocket.MessageText, `{"type":"ack","seq":65641}`)
	eventually(t, "the input arrives", func() bool { return one.typed() == "ls\n\x03\xff\x00" })
	eventually(t, "the acknowledgement arrives", func() bool { return slices.Equal(one.acked(), []uint64{65641}) })
	one.emit(t, terminal.Event{Size: &terminal.Size{Cols: 90, Rows: 20}})
	if m := p.message("size"); m["cols"] != 90.0 || m["rows"] != 20.0 {
		t.Errorf("size says %v", m)
	}
	one.emit(t, terminal.Event{Dropped: 7, Seq: 70000})
	if m := p.message("dropped"); m["bytes"] != 7.0 || m["seq"] != 70000.0 {
		t.Errorf("dropped says %v", m)
	}
	one.emit(t, terminal.Event{Exit: &terminal.Exit{Code: -1, Signal: "SIGKILL", At: time.Now()}})
	if m := p.message("exit"); m["code"] != -1.0 || m["signal"] != "SIGKILL" || m["at"] == nil {
		t.Errorf("exit says %v", m)
	}
	p.closed(websocket.StatusNormalClosure)
}

func TestW6_AttachedSaysWhereTheOutputReallyBegins(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	size := terminal.Size{Cols: 80, Rows: 24}
	for name, c := range map[string]struct {
		end    uint64
		events []terminal.Event
		want   []string
	}{
		"all is there":   {50, []terminal.Event{{Seq: 10, Data: []byte("x")}}, []string{"attached 10", "x"}},
		"some is lost":   {5000, []terminal.Event{{Dropped: 90, Seq: 100}, {Seq: 100, Data: []byte("x")}}, []string{"attached 100", "dropped 100", "x"}},
		"size first":     {50, []terminal.Event{{Size: &size}, {Seq: 10, Data: []byte("x")}}, []string{"attached 10", "size", "x"}},
		"nothing yet":    {10, nil, []string{"attached 10"}},
		"it has ended":   {50, []terminal.Event{{Exit: &terminal.Exit{}}}, []string{"attached 50", "exit"}},
		"output is next": {10, []terminal.Event{{Seq: 10, Data: []byte("x")}}, []string{"attached 10", "x"}},
	} {
		one := w.terminal(c.end)
		p := ada.dial("/terminals/" + one.state.ID + "?from=10")
		for _, e := range c.events {
			one.emit(t, e)
		}
		var got []string
		for range c.want {
			m, data := p.next()
			text := string(data)
			if m != nil {
				text = m["type"].(string)
				if seq, ok := m["seq"]; ok {
					text += fmt.Sprintf(" %v", seq)
				}
			}
			got = append(got, text)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: want %v, got %v", name, c.want, got)
		}
	}
}

func TestW5_SizesAreClampedAndCoalesced(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	one := w.terminal(0)
	p := ada.dial("/terminals/" + one.state.ID)
	p.message("attached")
	for _, c := range []struct {
		cols, rows string
		want       terminal.Size
	}{{"0", "0", terminal.Size{Cols: 1, Rows: 1}}, {"-1", "-1", terminal.Size{Cols: 1, Rows: 1}}, {"65536", "65536", terminal.Size{Cols: 1000, Rows: 500}},
		{"1e309", "1e309", terminal.Size{Cols: 1000, Rows: 500}}, {"80.9", "24", terminal.Size{Cols: 80, Rows: 24}}} {
		p.send(websocket.MessageText, `{"type":"resize","cols":`+c.cols+`,"rows":`+c.rows+`}`)
		eventually(t, c.cols+" becomes "+fmt.Sprint(c.want), func() bool {
			sizes := one.sizes()
			return len(sizes) > 0 && sizes[len(sizes)-1] == c.want
		})
	}
	before := len(one.sizes())
	begun := time.Now()
	for i := range 1000 {
		p.send(websocket.MessageText, fmt.Sprintf(`{"type":"resize","cols":%d,"rows":50}`, 100+i%100))
	}
	p.send(websocket.MessageText, `{"type":"resize","cols":321,"rows":123}`)
	eventually(t, "the last size arrives", func() bool {
		sizes := one.sizes()
		return sizes[len(sizes)-1] == terminal.Size{Cols: 321, Rows: 123}
	})
	if n, most := len(one.sizes())-before, int(time.Since(begun)/resizeEvery)+3; n > most {
		t.Errorf("1,001 sizes became %d, want at most %d", n, most)
	}
}

func TestW3_WhatIsNotOfTheProtocolEndsTheSocket(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for _, message := range []string{`{}`, `[]`, `x`, `{"type":"input","data":"rm"}`, `{"type":"ack"}`, `{"type":"ack","seq":-1}`, `{"type":"ack","seq":1.5}`,
		`{"type":"ack","seq":1,"seq":2}`, `{"type":"ack","seq":1,"Seq":2}`, `{"type":"ack","seq":1,"x":1}`, `{"type":"resize","cols":80}`,
		`{"type":"resize","cols":"80","rows":"x"}`, `{"type":"resize","cols":80,"rows":24,"seq":1}`, `{"type":"ack","seq":1} {}`,
		strings.Repeat(" ", maxControl) + `{"type":"ack","seq":1}`} {
		one := w.terminal(0)
		p := ada.dial("/terminals/" + one.state.ID)
		p.message("attached")
		p.send(websocket.MessageText, message)
		p.closed(websocket.StatusPolicyViolation)
		if len(one.acked()) > 0 || len(one.sizes()) > 0 {
			t.Errorf("%.40s: was taken", message)
		}
	}
	for name, c := range map[string]struct {
		bytes string
		code  int
	}{
		"a reserved bit":        {"\xc1\x80\x00\x00\x00\x00", 1002},
		"an unknown opcode":     {"\x83\x80\x00\x00\x00\x00", 1002},
		"not masked":            {"\x82\x01a", 1002},
		"a fragmented ping":     {"\x09\x80\x00\x00\x00\x00", 1002},
		"a ping that is long":   {"\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), 1002},
		"a length of 2^63":      {"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002},
		"a message of 100 KiB":  {"\x82\xff\x00\x00\x00\x00\x00\x01\x90\x00\x00\x00\x00\x00" + strings.Repeat("x", 100<<10), 1009},
		"a bad close code":      {"\x88\x82\x00\x00\x00\x00\x03\xed", 1002},
		"compressed, not asked": {"\xc2\x85\x00\x00\x00\x00aaaaa", 1002},
	} {
		one := w.terminal(0)
		if code := ada.rawSocket("/terminals/"+one.state.ID, c.bytes); code != c.code && code != 0 {
			t.Errorf("%s: want the socket closed with %d or cut, got %d", name, c.code, code)
		}
		eventually(t, "the viewer is let go", func() bool {
			select {
			case <-one.closed:
				return true
			default:
				return false
			}
		})
	}
}

// rawSocket opens a socket, sends bytes, and returns the close code, 0 when the connection just ends.
func (p *person) rawSocket(path, send string) int {
	p.t.Helper()
	conn, err := net.Dial("tcp", strings.Replace(p.host, "localhost", "127.0.0.1", 1))
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s/workspaces/%s%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		prefix, p.workspace, path, p.host, p.url, p.cookie)
	go func() { _, _ = io.WriteString(conn, send) }() // the server may cut it off
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Extensions") != "" {
		p.t.Fatalf("want an upgrade without compression, got %v %v", response, err)
	}
	for { // the server's frames here are short and not masked
		var head [2]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return 0
		}
		payload := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(r, payload); err != nil {
			return 0
		}
		if head[0]&0xf == 8 && len(payload) >= 2 {
			return int(payload[0])<<8 | int(payload[1])
		}
	}
}

func TestA5_SocketsEndWithTheLogin(t *testing.T) {
	w := newWorld(t)
	w.api.sockets.times.alive = time.Hour // it is told at once, and need not ask
	ada := w.person("ada")
	one := w.terminal(0)
	term, events := ada.dial("/terminals/"+one.state.ID), ada.dial("/events")
	term.message("attached")
	events.message("hello")
	body := `{"username":"ada","password":"` + password + `"}`
	cookie, _, _ := strings.Cut(want(t, "another device", w.do("POST", prefix+"/auth/login", body, "Content-Type", "application/json"), 200).header.Get("Set-Cookie"), ";")
	other := &person{world: w, cookie: cookie, workspace: ada.workspace}
	stays := other.dial("/events")
	stays.message("hello")

	begun := time.Now()
	want(t, "logout", ada.json("POST", "/auth/logout", ""), 204)
	term.closed(websocket.StatusPolicyViolation)
	events.closed(websocket.StatusPolicyViolation)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	if one.typed() != "" {
		t.Errorf("the shell got %q", one.typed())
	}
	want(t, "the other login goes on", other.json("PATCH", "/workspaces/"+ada.workspace, `{"name":"still here"}`), 200)
	if m := stays.message("workspace"); m["workspace"].(map[string]any)["name"] != "still here" {
		t.Errorf("got %v", m)
	}
}

func TestA5_ALoginThatEndsElsewhereIsNoticed(t *testing.T) {
	w := newWorld(t)
	w.api.sockets.times.alive = 50 * time.Millisecond
	ada := w.person("ada")
	events := ada.dial("/events")
	events.message("hello")
	if err := w.auth.Logout(context.Background(), ada.principal); err != nil { // as another server would
		t.Fatal(err)
	}
	events.closed(websocket.StatusPolicyViolation)
}

func TestSocketsEndWithTheWorkspace(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	one := w.terminal(0)
	term, events := ada.dial("/terminals/"+one.state.ID), ada.dial("/events")
	term.message("attached")
	events.message("hello")
	want(t, "delete", ada.json("DELETE", "/workspaces/"+ada.workspace, ""), 204)
	events.message("gone")
	events.closed(closeGone)
	term.closed(closeGone)
}

func TestD7_SocketsEndWithTheServer(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	one := w.terminal(0)
	term, events := ada.dial("/terminals/"+one.state.ID), ada.dial("/events")
	term.message("attached")
	events.message("hello")
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		done <- w.api.Close(ctx)
	}()
	term.closed(websocket.StatusGoingAway)
	events.closed(websocket.StatusGoingAway)
	if err := <-done; err != nil {
		t.Errorf("the sockets did not end: %v", err)
	}
	if _, response, err := ada.tryDial("/events"); err == nil || response.StatusCode != 503 {
		t.Errorf("want 503 for a socket after the stop, got %v %v", response, err)
	}
}

func TestALostAgentIsToldFromASessionThatEnded(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	w.sessions.set(session.View{Session: &session.Session{ID: uuid.New(), State: session.Running}})
	one := w.terminal(0)
	p := ada.dial("/terminals/" + one.state.ID)
	p.message("attached")
	close(one.broken)
	p.closed(websocket.StatusServiceRestart)

	w.sessions.set(session.View{Session: &session.Session{ID: uuid.New(), State: session.Ended}})
	two := w.terminal(0)
	p = ada.dial("/terminals/" + two.state.ID)
	p.message("attached")
	close(two.broken)
	p.closed(closeGone)

	three := w.terminal(0)
	p = ada.dial("/terminals/" + three.state.ID)
	p.message("attached")
	close(three.events)
	p.closed(closeGone)
}

func TestW4_AReaderThatNeverReadsIsClosedAndHoldsNobodyUp(t *testing.T) {
	w := newWorld(t)
	w.api.sockets.times.write = 300 * time.Millisecond
	ada := w.person("ada")
	stuck, fine := w.terminal(0), w.terminal(0)
	conn, err := net.Dial("tcp", strings.Replace(w.host, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s/workspaces/%s/terminals/%s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", prefix, ada.workspace, stuck.state.ID, w.host, w.url, ada.cookie)
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		data := bytes.Repeat([]byte("y\n"), terminal.MaxFrame/2)
		for {
			select {
			case stuck.events <- terminal.Event{Data: data}:
			case <-stuck.closed:
				return
			}
		}
	}()
	healthy := ada.dial("/terminals/" + fine.state.ID)
	healthy.message("attached")
	for range 50 {
		fine.emit(t, terminal.Event{Data: []byte("x")})
		if _, data := healthy.next(); string(data) != "x" {
			t.Fatalf("the neighbour got %q", data)
		}
	}
	select {
	case <-flood:
	case <-time.After(20 * time.Second):
		t.Fatal("the stuck reader was not closed")
	}
}

func TestW5_AFloodOfMessagesIsSlowedAndThenEnded(t *testing.T) {
	w := newWorld(t)
	w.api.sockets.times.flood = 100 * time.Millisecond
	ada := w.person("ada")
	one := w.terminal(0)
	p := ada.dial("/terminals/" + one.state.ID)
	p.message("attached")
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for p.conn.Write(ctx, websocket.MessageBinary, []byte("x")) == nil {
		}
	}()
	p.closed(websocket.StatusPolicyViolation)
	if n := len(one.typed()); n < messageBurst {
		t.Errorf("only %d of the first %d messages were taken", n, messageBurst)
	}
}

func TestW3_AFloodOfPingsIsEnded(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	one := w.terminal(0)
	if code := ada.rawSocket("/terminals/"+one.state.ID, strings.Repeat("\x89\x80\x00\x00\x00\x00", 2000)); code != 1008 && code != 0 {
		t.Errorf("want 1008, got %d", code)
	}
}

func TestW6_APeerThatIsGoneIsFound(t *testing.T) {
	w := newWorld(t)
	w.api.sockets.times.ping = 100 * time.Millisecond
	ada := w.person("ada")
	one := w.terminal(0)
	p := ada.dial("/terminals/" + one.state.ID)
	p.message("attached")
	eventually(t, "a client that does not even answer pings is let go", func() bool { // nobody reads p, so no pong is sent
		select {
		case <-one.closed:
			return true
		default:
			return false
		}
	})
}

func TestW5_OneUserHasABoundedNumberOfSockets(t *testing.T) {
	w := newWorld(t)
	ada, eve := w.person("ada"), w.person("eve")
	for opened := 0; opened < socketsOfUser; {
		_, response, err := ada.tryDial("/events")
		if err == nil {
			opened++
			continue
		}
		if response == nil || response.StatusCode != 429 || response.Header.Get("Retry-After") == "" { // too fast
			t.Fatalf("after %d sockets: %v %v", opened, response, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	eventually(t, "one more is refused", func() bool {
		_, response, err := ada.tryDial("/events")
		if err == nil {
			t.Fatal("one more was opened")
		}
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode == 429 && strings.Contains(string(body), "at most 64")
	})
	eve.dial("/events").message("hello")
}
