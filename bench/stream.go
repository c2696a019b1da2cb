package main

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// deadline bounds each single wait, so that a bench on a broken server ends with an error instead of never.
const deadline = 30 * time.Second

// stream is a PTY however it is reached, read by a goroutine of its own, so that waits can have a deadline.
type stream struct {
	io.WriteCloser
	chunks chan []byte
	last   error // why chunks was closed
}

func newStream(s io.ReadWriteCloser) *stream {
	st := &stream{WriteCloser: s, chunks: make(chan []byte, 1024)}
	go func() {
		defer close(st.chunks)
		for {
			buf := make([]byte, 64<<10)
			n, err := s.Read(buf)
			if n > 0 {
				st.chunks <- buf[:n]
			}
			if err != nil {
				st.last = err
				return
			}
		}
	}()
	return st
}

// until reads until the output since the call holds want, and returns when that was.
func (s *stream) until(want string) (time.Time, error) {
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	var got []byte
	for {
		select {
		case chunk, more := <-s.chunks:
			if !more {
				return time.Time{}, fmt.Errorf("the terminal ended before %q: %w; its output: %q", want, s.last, got)
			}
			if got = append(got, chunk...); bytes.Contains(got, []byte(want)) {
				return time.Now(), nil
			}
		case <-timer.C:
			return time.Time{}, fmt.Errorf("no %q within %v; the output: %q", want, deadline, got)
		}
	}
}

// send writes input and returns when it was sent.
func (s *stream) send(input string) (time.Time, error) {
	sent := time.Now()
	_, err := io.WriteString(s, input)
	return sent, err
}

// typeKeys types a key n times into a shell with readline and takes the time until each is echoed. Each key is taken back
// before the next, so that the line stays one line.
func (s *stream) typeKeys(n int) (samples, error) {
	var times samples
	for range n {
		sent, err := s.send("x")
		if err != nil {
			return nil, err
		}
		seen, err := s.until("x")
		if err != nil {
			return nil, err
		}
		times = append(times, seen.Sub(sent))
		if _, err := s.send("\x7f"); err != nil {
			return nil, err
		}
		if _, err := s.until("\x1b[K"); err != nil {
			return nil, err
		}
	}
	return times, nil
}
