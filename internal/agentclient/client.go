// Package agentclient is the server's side of the agent's protocol: one connection to the agent of one sandbox. The agent
// is untrusted: a user may have taken it over. So nothing it says is believed, only checked: every frame, line and list is
// bounded, every path is validated, every wait ends by the context's deadline, and a broken answer is an error and never a
// part of one.
package agentclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/yamux"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// Options say what is expected of an agent.
type Options struct {
	Isolation  string   // "gvisor": the agent must report gVisor's kernel
	Ignore     []string // names that are neither scanned nor watched; nil for workspace.IgnoredNames
	MaxFile    int64    // bytes of one file; larger ones are reported with a problem
	MaxEntries int      // in one scan; 0 for DefaultMaxEntries
	Log        *slog.Logger
}

const (
	// DefaultMaxEntries bounds a scan. Beyond it a workspace is not synced at all, and its owner is told.
	DefaultMaxEntries = 100_000
	// defaultMaxFile is used where Options names none.
	defaultMaxFile = 64 << 20
	// defaultWait bounds a call whose context has no deadline.
	defaultWait = 60 * time.Second
	// helloWait bounds the first question. A cold sandbox answers in well under a second.
	helloWait = 10 * time.Second
	// maxAnswer bounds an answer that is one JSON value.
	maxAnswer = 256 << 10
	// maxStray is how many streams an agent may try to open before its connection is given up: none is expected.
	maxStray = 16
)

// Client is a connection to an agent. Its methods may be called concurrently.
type Client struct {
	opts    Options
	session *yamux.Session
	http    *http.Client
	hello   agentproto.Hello
}

// Connect makes a Client of a byte stream to an agent, which it owns from now on and closes when it fails. The agent must
// speak our protocol and run under the kernel that the isolation promises.
func Connect(ctx context.Context, stream io.ReadWriteCloser, o Options) (*Client, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ignore == nil {
		o.Ignore = workspace.IgnoredNames()
	}
	if o.MaxEntries == 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.MaxFile == 0 {
		o.MaxFile = defaultMaxFile
	}
	session, err := yamux.Client(newGuard(stream), agentproto.Mux())
	if err != nil {
		stream.Close()
		return nil, fault.Wrap(err, fault.Unavailable, "The connection to the sandbox could not be made.")
	}
	c := &Client{opts: o, session: session}
	c.http = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return c.open(ctx) },
			// A stream of its own for each request costs no round trip, and a late or second answer is lost with it.
			DisableKeepAlives: true, DisableCompression: true,
			MaxResponseHeaderBytes: 16 << 10,
			WriteBufferSize:        agentproto.MaxData, ReadBufferSize: agentproto.MaxData,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	go c.refuseStreams()
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	if err := c.greet(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) greet(ctx context.Context) error {
	if err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/hello"}, &c.hello); err != nil {
		return err
	}
	if c.hello.Protocol != agentproto.Version {
		return fault.New(fault.Unavailable, "The sandbox's agent speaks protocol %d and this server %d. Rebuild the sandbox image with the server's release.",
			c.hello.Protocol, agentproto.Version)
	}
	if c.opts.Isolation == "gvisor" && !isGVisor(c.hello.Kernel) {
		c.opts.Log.Error("a sandbox does not run under gVisor", "kernel", plain(c.hello.Kernel, 200))
		return fault.New(fault.Unavailable, "The sandbox does not run under gVisor, which its settings ask for. It was refused.")
	}
	return nil
}

// isGVisor recognises what gVisor's kernel writes into /proc/version, in its old and its new form.
func isGVisor(version string) bool {
	return strings.Contains(version, "gVisor") || strings.HasPrefix(version, "Linux version 4.19.0-gvisor")
}

// open opens a stream. yamux may block over it when the agent answers nothing.
func (c *Client) open(ctx context.Context) (*yamux.Stream, error) {
	type opened struct {
		stream *yamux.Stream
		err    error
	}
	result := make(chan opened, 1)
	go func() {
		stream, err := c.session.OpenStream()
		result <- opened{stream, err}
	}()
	select {
	case r := <-result:
		return r.stream, r.err
	case <-ctx.Done():
		go func() {
			if r := <-result; r.err == nil {
				r.stream.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// refuseStreams closes what the agent opens: it has no reason to.
func (c *Client) refuseStreams() {
	for n := 1; ; n++ {
		stream, err := c.session.AcceptStream()
		if err != nil {
			return
		}
		stream.Close()
		if n >= maxStray {
			c.opts.Log.Warn("an agent opens streams; its connection is given up")
			c.Close()
			return
		}
	}
}

// Agent returns what the agent said of itself. It is not to be trusted.
func (c *Client) Agent() (version, boot string) {
	return plain(c.hello.Version, 100), plain(c.hello.Boot, 100)
}

// Done is closed when the connection is lost.
func (c *Client) Done() <-chan struct{} { return c.session.CloseChan() }

// Close ends the connection. What runs in the sandbox goes on.
func (c *Client) Close() error { return c.session.Close() }

// decode reads one bounded JSON value.
func decode(r io.Reader, into any) error {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return err
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return json.Unmarshal(text, into)
}
