package agentclient

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

func TestP3_ASilentAgentIsWaitedForUntilTheDeadline(t *testing.T) {
	stall := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // to return would be an answer, which could still be in time
	}
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "50")
		w.Header().Set(agentproto.SumHeader, sum)
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(" ")); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	for kind, handler := range map[string]http.HandlerFunc{"stalls": stall, "drips": drip} {
		c, l := lie(t, Options{})
		l.HandleFunc("/v1/terminals", handler)
		l.HandleFunc("/v1/terminals/", handler)
		l.HandleFunc("/v1/files/", handler)
		for name, call := range map[string]func(context.Context) error{
			"Scan": func(ctx context.Context) error { _, err := c.Scan(ctx, nil); return err },
			"Read": func(ctx context.Context) error { _, err := c.Read(ctx, "x", 100); return err },
			"Put": func(ctx context.Context) error {
				return c.Put(ctx, "x", make([]byte, 1<<20), false, workspace.Expect{})
			},
			"MakeFolder":    func(ctx context.Context) error { return c.MakeFolder(ctx, "x") },
			"MakeLink":      func(ctx context.Context) error { return c.MakeLink(ctx, "x", "y", workspace.Expect{}) },
			"Remove":        func(ctx context.Context) error { return c.Remove(ctx, "x", workspace.Expect{}) },
			"Load":          func(ctx context.Context) error { return c.Load(ctx, items(1000, make([]byte, 1000))) },
			"Terminals":     func(ctx context.Context) error { _, err := c.Terminals(ctx); return err },
			"OpenTerminal":  func(ctx context.Context) error { _, err := c.OpenTerminal(ctx, terminal.Options{ID: "t"}); return err },
			"CloseTerminal": func(ctx context.Context) error { return c.CloseTerminal(ctx, "t") },
			"Attach":        func(ctx context.Context) error { _, err := c.Attach(ctx, "t", terminal.AttachOptions{}); return err },
		} {
			if kind == "drips" && (name == "Put" || name == "MakeFolder" || name == "MakeLink" || name == "Remove" || name == "CloseTerminal") {
				continue // their success has no body to wait for
			}
			t.Run(name+" when it "+kind, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
				defer cancel()
				begun := time.Now()
				err := call(ctx)
				if kind == "drips" && name == "Attach" && fault.Is(err, fault.Unavailable) {
					return // 200 is no answer to an attachment
				}
				if !fault.Is(err, fault.Timeout) {
					t.Errorf("want Timeout, got %v", err)
				}
				if took := time.Since(begun); took > 5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	}
}

func TestP3_AnAgentThatTakesNothingIsGivenUp(t *testing.T) {
	_, result := raw(t)
	select {
	case err := <-result:
		if !fault.Is(err, fault.Timeout) {
			t.Fatalf("want Timeout, got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

func TestP1_BrokenFramesOfTheMultiplexerEndTheConnection(t *testing.T) {
	frame := func(version, kind byte, flags uint16, id, length uint32) []byte {
		return []byte{version, kind, byte(flags >> 8), byte(flags), byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id),
			byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}
	}
	for name, bytes := range map[string][]byte{
		"a ping":               frame(0, 2, 1, 0, 7),
		"an unknown type":      frame(0, 9, 0, 0, 0),
		"another version":      frame(1, 0, 0, 1, 0),
		"more than the window": frame(0, 0, 0, 1, 1<<31),
	} {
		t.Run(name, func(t *testing.T) {
			conn, result := raw(t)
			if _, err := conn.Write(bytes); err != nil {
				t.Fatal(err)
			}
			// At once, and not only because no answer comes.
			if err := <-result; !fault.Is(err, fault.Unavailable) {
				t.Fatalf("want Unavailable, got %v", err)
			}
			if _, err := conn.Write(bytes); err == nil {
				t.Fatal("the connection lives on")
			}
		})
	}
}

func TestP3_StreamsThatAnAgentOpensAreRefused(t *testing.T) {
	c, l := lie(t, Options{})
	for range 10 * maxStray {
		if _, err := l.session.Open(); err != nil {
			break
		}
	}
	select {
	case <-c.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the connection lives on")
	}
}

func TestP3_AFloodOfChangesIsReadSlowly(t *testing.T) {
	c, l := lie(t, Options{})
	l.HandleFunc("GET /v1/files/watch", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, `{"all":true}`+"\n"); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	calls := 0
	if err := c.Watch(ctx, func([]string) { calls++ }); err != ctx.Err() {
		t.Fatalf("want the context's error, got %v", err)
	}
	if calls > 2*watchLines {
		t.Fatalf("%d changes in 1.5 s", calls)
	}
}

func TestP3_AWatchThatDoesNotBeginIsRefused(t *testing.T) {
	for name, line := range map[string]any{
		"it begins with a path": agentproto.Changes{Paths: []string{"x"}},
		"it is no JSON":         "what",
		"its line is too long":  strings.Repeat("x", agentproto.MaxLine+1),
	} {
		t.Run(name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.lines("GET /v1/files/watch", line)
			if err := c.Watch(within10s(t), func([]string) { t.Error("told of a change") }); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("want Unavailable, got %v", err)
			}
		})
	}
}

func TestCloseMayBeCalledAgainAndEndsWhatWaits(t *testing.T) {
	c, l := lie(t, Options{})
	l.HandleFunc("GET /v1/terminals", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Terminals(context.Background())
		waiting <- err
	}()
	for range 3 {
		c.Close()
	}
	select {
	case <-c.Done():
	default:
		t.Fatal("Done is open after Close")
	}
	if err := <-waiting; !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want Unavailable, got %v", err)
	}
	if err := c.MakeFolder(t.Context(), "x"); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want Unavailable, got %v", err)
	}
}
