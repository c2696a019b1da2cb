package oci

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"vivarium/internal/fault"
)

// closeGrace is how long a bridge may take to end by itself after its stream was closed.
const closeGrace = 2 * time.Second

// stream is a byte stream to an agent: the agent's own stdio, or that of a bridge to it.
type stream struct {
	in     *os.File // the far side's stdin
	out    *os.File // the far side's stdout
	bridge *started // nil for the agent's own stdio
	log    *tail    // the bridge's messages

	closeOnce sync.Once
	closeErr  error
}

// pipes returns a stream and the two ends for the far side, which the caller closes when they are handed over.
func pipes() (s *stream, stdin, stdout *os.File, err error) {
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, nil, nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		_, _ = stdin.Close(), in.Close()
		return nil, nil, nil, err
	}
	return &stream{in: in, out: out}, stdin, stdout, nil
}

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.out.Read(p)
	if err == io.EOF && s.bridge != nil && n == 0 {
		// A bridge that could not reach the agent says why.
		select {
		case <-s.bridge.done:
			if s.bridge.err != nil {
				return 0, fault.Wrap(errors.Join(s.bridge.err, errors.New(s.log.String())), fault.Unavailable, "The sandbox does not answer.")
			}
		case <-time.After(closeGrace):
		}
	}
	return n, err
}

func (s *stream) Write(p []byte) (int, error) { return s.in.Write(p) }

// Close ends the stream and, in the background, its bridge.
func (s *stream) Close() error {
	s.closeOnce.Do(func() {
		s.closeErr = errors.Join(s.in.Close(), s.out.Close())
		if s.bridge == nil {
			return
		}
		go func() {
			select {
			case <-s.bridge.done:
			case <-time.After(closeGrace):
				s.bridge.kill()
			}
		}()
	})
	return s.closeErr
}

// Dial implements sandbox.Driver.
func (d *Driver) Dial(ctx context.Context, id string) (io.ReadWriteCloser, error) {
	r, err := d.load(id)
	if err != nil {
		return nil, err
	}
	if !r.Process.alive() {
		return nil, fault.New(fault.Unavailable, "The sandbox has ended.")
	}
	if s := d.takeFirst(id); s != nil {
		return s, nil
	}
	if d.runtimeOf(r).program() == "" {
		return nil, fault.New(fault.Unavailable, "The sandbox cannot be reached: this server no longer has what isolates it.")
	}
	if err := d.awaitAgent(ctx, r); err != nil {
		return nil, err
	}
	s, stdin, stdout, err := pipes()
	if err != nil {
		return nil, err
	}
	s.log = &tail{}
	argv := d.runtimeOf(r).connect(d.bundle(id))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, s.log
	bridge, err := start(cmd)
	err = errors.Join(err, stdin.Close(), stdout.Close())
	s.bridge = bridge
	if err != nil {
		if bridge != nil {
			bridge.kill()
		}
		_ = s.Close() // the error that matters is the first
		return nil, fault.Wrap(err, fault.Unavailable, "The connection to the sandbox cannot be made.")
	}
	return s, nil
}

// agentStart is how long a new sandbox's agent may take until it listens for bridges.
const agentStart = 10 * time.Second

// awaitAgent waits until the agent of a new sandbox listens: a bridge that came too early would end at once, and what the
// caller had written to it would be lost. A bridge with nothing to say succeeds when the agent is there.
func (d *Driver) awaitAgent(ctx context.Context, r record) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(r.Created) > agentStart {
			return nil
		}
		if _, err := output(ctx, shortTimeout, d.runtimeOf(r).connect(d.bundle(r.ID))); err == nil {
			return nil
		}
		if !r.Process.alive() {
			return fault.New(fault.Unavailable, "The sandbox has ended.")
		}
		pause(ctx, 20*time.Millisecond)
	}
}

// load returns the record of a sandbox of this installation, Invalid for a wrong id, and NotFound where there is none.
func (d *Driver) load(id string) (record, error) {
	if err := validID(id); err != nil {
		return record{}, err
	}
	return d.bundle(id).load()
}
