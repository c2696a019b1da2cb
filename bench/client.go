package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// client is a logged-in user of a server.
type client struct {
	url  string
	http *http.Client
}

// signUp makes the first account, through the link that the server has printed.
func signUp(ctx context.Context, s *server) (*client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &client{url: s.url, http: &http.Client{Jar: jar, Timeout: time.Minute}}
	err = c.call(ctx, http.MethodPost, "/auth/setup",
		map[string]string{"token": s.token, "username": "bench", "password": "a long bench phrase 27"}, nil)
	return c, err
}

// call sends JSON and reads JSON; a status from 400 on is an error with the server's words.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	answer, err := c.send(ctx, method, path, body, http.Header{"Content-Type": {"application/json"}})
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

func (c *client) send(ctx context.Context, method, path string, body []byte, header http.Header) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header = header
	r.Header.Set("Origin", c.url)
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode >= 400 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, answer)
	}
	return answer, err
}

func (c *client) createWorkspace(ctx context.Context, name string) (string, error) {
	var made struct{ ID string }
	err := c.call(ctx, http.MethodPost, "/workspaces", map[string]string{"name": name, "template": "blank"}, &made)
	return made.ID, err
}

// endSession ends the workspace's sandbox, so that the next terminal is a cold one.
func (c *client) endSession(ctx context.Context, ws string) error {
	return c.call(ctx, http.MethodDelete, "/workspaces/"+ws+"/session", nil, nil)
}

// save writes a file whatever its version is.
func (c *client) save(ctx context.Context, ws, path string, content []byte) error {
	_, err := c.send(ctx, http.MethodPut, "/workspaces/"+ws+"/files/"+path, content,
		http.Header{"Content-Type": {"application/octet-stream"}, "If-Match": {"*"}})
	return err
}

// dial opens one of the server's WebSockets.
func (c *client) dial(ctx context.Context, path string) (*websocket.Conn, error) {
	at, err := url.Parse(c.url)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Origin": {c.url}}
	for _, cookie := range c.http.Jar.Cookies(at) {
		header.Add("Cookie", cookie.Name+"="+cookie.Value)
	}
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(c.url, "http")+"/api/v1"+path,
		&websocket.DialOptions{HTTPHeader: header, CompressionMode: websocket.CompressionDisabled})
	if err == nil {
		conn.SetReadLimit(1 << 20)
	}
	return conn, err
}

// terminal is a WebSocket to one of the workspace's terminals, as a stream of bytes.
type terminal struct {
	conn *websocket.Conn
	ctx  context.Context
}

// openTerminal makes a terminal, with the sandbox when there is none, and connects to it.
func (c *client) openTerminal(ctx context.Context, ws string) (*terminal, error) {
	var made struct{ ID string }
	err := c.call(ctx, http.MethodPost, "/workspaces/"+ws+"/terminals", map[string]int{"cols": 120, "rows": 30}, &made)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, "/workspaces/"+ws+"/terminals/"+made.ID+"?from=0&cols=120&rows=30")
	if err != nil {
		return nil, err
	}
	return &terminal{conn, ctx}, nil
}

// Read returns the bytes of the next binary message; p must hold a whole one.
func (t *terminal) Read(p []byte) (int, error) {
	for {
		kind, message, err := t.conn.Read(t.ctx)
		if err != nil {
			return 0, err
		}
		if kind == websocket.MessageBinary {
			return copy(p, message), nil
		}
	}
}

// Write sends input.
func (t *terminal) Write(p []byte) (int, error) {
	return len(p), t.conn.Write(t.ctx, websocket.MessageBinary, p)
}

// Close ends the viewer, not the terminal.
func (t *terminal) Close() error { return t.conn.CloseNow() }
