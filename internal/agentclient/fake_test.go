package agentclient

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"vivarium/internal/agentproto"
)

// liar is an agent that somebody has taken over: it answers what a test tells it to.
type liar struct {
	*http.ServeMux
	session *yamux.Session
}

// lie connects a client to a liar, whose hello is sound.
func lie(t *testing.T, o Options) (*Client, *liar) {
	t.Helper()
	ours, theirs := net.Pipe()
	session, err := yamux.Server(theirs, agentproto.Mux())
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{ServeMux: http.NewServeMux(), session: session}
	l.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) {
		agentproto.Answer(w, 200, agentproto.Hello{Version: "x", Protocol: agentproto.Version, Kernel: "Linux version 4.19.0-gvisor", Boot: "b"})
	})
	go http.Serve(session, l)
	t.Cleanup(func() { session.Close() })
	if o.MaxFile == 0 {
		o.MaxFile = 1000
	}
	c, err := Connect(t.Context(), ours, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, l
}

// newPair returns the stream to an agent with this hello.
func newPair(t *testing.T, hello http.HandlerFunc) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	session, err := yamux.Server(theirs, agentproto.Mux())
	if err != nil {
		t.Fatal(err)
	}
	go http.Serve(session, hello)
	t.Cleanup(func() { session.Close() })
	return ours
}

// lines makes the liar's scans answer these values, one a line, and nothing more.
func (l *liar) lines(pattern string, values ...any) {
	l.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
		for _, value := range values {
			switch v := value.(type) {
			case string:
				fmt.Fprintln(w, v)
			default:
				text, err := json.Marshal(v)
				if err != nil {
					panic(err)
				}
				fmt.Fprintln(w, string(text))
			}
		}
	})
}

func within10s(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// raw is a stream on which a test writes the multiplexer's frames itself. What the client sends is thrown away.
func raw(t *testing.T) (net.Conn, chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	result := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := Connect(ctx, ours, Options{})
		if err == nil {
			c.Close()
		}
		result <- err
	}()
	// The first frame opens the client's first stream: from here on there is one that the far side can speak of.
	if _, err := io.ReadFull(theirs, make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, theirs)
	return theirs, result
}
