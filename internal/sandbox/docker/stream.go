package docker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"vivarium/internal/fault"
)

// A stream without a terminal is framed by the daemon: a byte that says which output it is, three zeros, four bytes of
// length, big endian. That no terminal was asked for is what tells: before API 1.42 the answer's media type is wrong.
const (
	frameHeader = 8
	stdoutFrame = 1
	stderrFrame = 2
	errorFrame  = 3 // of the daemon itself
	// maxMessages bounds what is kept of a bridge's messages, in bytes. The first ones say what went wrong.
	maxMessages = 4 << 10
)

// stream is a byte stream to an agent: the agent's own stdio, or that of a bridge to it.
type stream struct {
	conn   net.Conn
	in     *bufio.Reader // holds what came together with the daemon's answer
	closed func()        // called once, when it is closed; may be nil

	// Only Read touches these.
	kind     byte   // of the frame that is being read
	left     uint32 // bytes of it that are still to come
	messages []byte

	closeOnce sync.Once
	closeErr  error
}

func newStream(h client.HijackedResponse) *stream { return &stream{conn: h.Conn, in: h.Reader} }

// Read returns what the far side wrote to its standard output. It must not be called concurrently.
func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.left == 0 {
			if err := s.next(); err != nil {
				return 0, s.end(err)
			}
			continue // a frame may be empty
		}
		want := p[:min(len(p), int(s.left))]
		if s.kind != stdoutFrame {
			want = make([]byte, min(s.left, maxMessages))
		}
		n, err := s.in.Read(want)
		s.left -= uint32(n)
		if s.kind == stdoutFrame {
			return n, s.end(err)
		}
		s.messages = append(s.messages, want[:min(n, maxMessages-len(s.messages))]...)
		if err != nil {
			return 0, s.end(err)
		}
	}
}

// next reads the header of a frame.
func (s *stream) next() error {
	var header [frameHeader]byte
	if _, err := io.ReadFull(s.in, header[:]); err != nil {
		return err
	}
	s.kind, s.left = header[0], binary.BigEndian.Uint32(header[4:])
	if s.kind < stdoutFrame || s.kind > errorFrame || header[1] != 0 || header[2] != 0 || header[3] != 0 {
		return fmt.Errorf("not the header of a frame: %x", header)
	}
	return nil
}

// end makes a fault of the end of a stream whose far side has said what is wrong.
func (s *stream) end(err error) error {
	if errors.Is(err, io.EOF) && len(s.messages) > 0 {
		return fault.Wrap(errors.New(strings.TrimSpace(string(s.messages))), fault.Unavailable, "The sandbox does not answer.")
	}
	return err
}

// alive reports whether the far side is still there, as far as it can be seen at once. Nobody may have read yet.
func (s *stream) alive() bool {
	if s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := s.in.Peek(1)
	return (err == nil || errors.Is(err, os.ErrDeadlineExceeded)) && s.conn.SetReadDeadline(time.Time{}) == nil
}

func (s *stream) Write(p []byte) (int, error) { return s.conn.Write(p) }

// Close ends the stream. The daemon closes the far side's stdin, upon which the agent gives the connection up, and a bridge
// ends.
func (s *stream) Close() error {
	s.closeOnce.Do(func() {
		s.closeErr = s.conn.Close()
		if s.closed != nil {
			s.closed()
		}
	})
	return s.closeErr
}

// Dial implements sandbox.Driver.
func (d *Driver) Dial(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	c, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if !running(c.State.Status) {
		return nil, errEnded()
	}
	if s := d.takeFirst(id); s != nil {
		if s.alive() {
			return d.keep(id, s), nil
		}
		_ = s.Close() // the daemon has been restarted meanwhile
	}
	if err := d.awaitAgent(ctx, id, c.ID); err != nil {
		return nil, err
	}
	s, _, err := d.bridge(ctx, c.ID, true)
	if err != nil {
		return nil, err
	}
	return d.keep(id, s), nil
}

func errEnded() error { return fault.New(fault.Unavailable, "The sandbox has ended.") }

// bridge starts a bridge to the agent's socket in the container. Without stdin it ends at once, with 0 if it reached the
// agent. exec is the daemon's name for it.
func (d *Driver) bridge(ctx context.Context, container string, stdin bool) (s *stream, exec string, err error) {
	created, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ExecCreateResult, error) {
		return d.engine.ExecCreate(ctx, container, client.ExecCreateOptions{User: "0:0", WorkingDir: "/", Cmd: []string{agentPath, "connect"},
			AttachStdin: stdin, AttachStdout: true, AttachStderr: true})
	})
	if err != nil {
		return nil, "", bridgeFailed(err)
	}
	attached, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ExecAttachResult, error) {
		return d.engine.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	})
	if err != nil {
		return nil, "", bridgeFailed(err)
	}
	return newStream(attached.HijackedResponse), created.ID, nil
}

// bridgeFailed makes a fault of the daemon's refusal to run a program in a sandbox that was running a moment ago.
func bridgeFailed(err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) { // not running any more, or paused
		return fault.Wrap(err, fault.Unavailable, "The sandbox cannot be reached: it has ended or is paused.")
	}
	return err
}

// agentStart is how long a new sandbox's agent may take until it listens for bridges.
const agentStart = 10 * time.Second

// awaitAgent waits until the agent listens: a bridge that came too early would end at once, and what the caller had written
// to it would be lost. Once is enough for a sandbox.
func (d *Driver) awaitAgent(ctx context.Context, id, container string) error {
	listens := false
	d.knowing(id, func(k *knowledge) { listens = k.listens })
	if listens {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, agentStart)
	defer cancel()
	for {
		reached, err := d.reach(bounded, container)
		if err != nil {
			return err
		}
		if reached {
			d.knowing(id, func(k *knowledge) { k.listens = true })
			return nil
		}
		if !pause(bounded, 20*time.Millisecond) {
			return fault.Wrap(bounded.Err(), fault.Unavailable, "The sandbox does not answer.")
		}
	}
}

// reach reports whether a bridge gets to the agent.
func (d *Driver) reach(ctx context.Context, container string) (bool, error) {
	s, exec, err := d.bridge(ctx, container, false)
	if err != nil {
		return false, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if _, err := io.Copy(io.Discard, s); err != nil && ctx.Err() != nil {
		return false, failure(ctx, err)
	}
	for { // the output may end a moment before the program
		result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ExecInspectResult, error) {
			return d.engine.ExecInspect(ctx, exec, client.ExecInspectOptions{})
		})
		if err != nil {
			return false, bridgeFailed(err)
		}
		if !result.Running {
			return result.ExitCode == 0, nil
		}
		if !pause(ctx, 5*time.Millisecond) {
			return false, failure(ctx, ctx.Err())
		}
	}
}

// pause waits a little, and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
