package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/yamux"
)

// RealAgent speaks the protocol of vivarium-agent (docs/protocol.md) as far as the suite needs it, for the drivers whose
// sandboxes run it. It is a second implementation on purpose: drivers may not import the server's own.
type RealAgent struct {
	session *yamux.Session
	http    *http.Client
}

var _ Agent = (*RealAgent)(nil)

// ConnectReal connects to a real agent. It closes the stream when it fails.
func ConnectReal(stream io.ReadWriteCloser) (*RealAgent, error) {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.ConnectionWriteTimeout = time.Minute
	config.LogOutput = io.Discard
	session, err := yamux.Client(stream, config)
	if err != nil {
		return nil, errors.Join(err, stream.Close())
	}
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return session.Open() }}
	return &RealAgent{session: session, http: &http.Client{Transport: transport}}, nil
}

// Connect is ConnectReal as a Harness takes it.
func Connect(stream io.ReadWriteCloser) (Agent, error) { return ConnectReal(stream) }

// Done is closed when the connection is lost.
func (c *RealAgent) Done() <-chan struct{} { return c.session.CloseChan() }

// Close ends the connection and its stream.
func (c *RealAgent) Close() error {
	c.http.CloseIdleConnections()
	return c.session.Close()
}

func (c *RealAgent) do(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, content)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, data)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(data, answer)
}

// Boot implements Agent.
func (c *RealAgent) Boot(ctx context.Context) (string, error) {
	var hello struct{ Boot string }
	err := c.do(ctx, "GET", "/v1/hello", nil, &hello)
	return hello.Boot, err
}

// Shell runs the script in a terminal and reads that to its end.
func (c *RealAgent) Shell(ctx context.Context, script string) (string, int, error) {
	id := uuid.NewString()
	options := map[string]any{"id": id, "kind": "run", "title": "test", "argv": []string{"bash", "-c", script}, "size": map[string]int{"cols": 200, "rows": 50}}
	if err := c.do(ctx, "POST", "/v1/terminals", options, nil); err != nil {
		return "", 0, err
	}
	defer func() { _ = c.do(context.WithoutCancel(ctx), "DELETE", "/v1/terminals/"+id, nil, nil) }() // its sandbox may be gone
	conn, err := c.session.Open()
	if err != nil {
		return "", 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	request, err := http.NewRequest("POST", "http://agent/v1/terminals/"+id+"/attach?from=0", nil)
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "vivarium-pty/1")
	if err := request.Write(conn); err != nil {
		return "", 0, err
	}
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, request)
	if err != nil {
		return "", 0, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return "", 0, fmt.Errorf("attach: %s", response.Status)
	}
	return readTerminal(in)
}

func readTerminal(in io.Reader) (string, int, error) {
	var out strings.Builder
	header := make([]byte, 5)
	for {
		if _, err := io.ReadFull(in, header); err != nil {
			return out.String(), 0, fmt.Errorf("the terminal was lost: %w", err)
		}
		length := binary.BigEndian.Uint32(header[1:])
		if length > 64<<10+8 {
			return out.String(), 0, fmt.Errorf("a frame of %d bytes", length)
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return out.String(), 0, err
		}
		switch header[0] {
		case 0x11:
			out.Write(payload[8:])
		case 0x12:
			out.WriteString("\n[output dropped]\n")
		case 0x13:
			var exit struct {
				Code   int
				Signal string
			}
			err := json.Unmarshal(payload, &exit)
			return strings.ReplaceAll(out.String(), "\r\n", "\n"), exit.Code, err
		}
	}
}
