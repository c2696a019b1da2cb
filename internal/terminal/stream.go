package terminal

import "sync"

// Stream is one terminal's output and its viewers, without any transport. Its owner writes what it reads from the PTY and
// asks Await before each read; each viewer takes events at its own pace.
type Stream struct {
	resized func(Size)

	mu      sync.Mutex
	news    sync.Cond // a viewer may have an event
	room    sync.Cond // output may go on
	ring    ring
	size    Size
	resizes uint64 // counts changes of size
	viewers map[*Viewer]struct{}
	exit    *Exit
	free    bool // Release was called
	closed  bool
}

// NewStream returns a Stream of the size. resized, which may be nil, is called with each new size while the stream is
// locked; it must not call the stream.
func NewStream(size Size, resized func(Size)) *Stream {
	s := &Stream{resized: resized, size: size.Clamp(), ring: ring{limit: RingBytes}, viewers: map[*Viewer]struct{}{}}
	s.news.L, s.room.L = &s.mu, &s.mu
	return s
}

// Write adds output. It never blocks; the ring forgets what is oldest.
func (s *Stream) Write(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ring.write(p)
	s.news.Broadcast()
}

// Await blocks while a writing viewer is Window bytes behind, and reports whether output is still wanted.
func (s *Stream) Await() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closed && !s.free && s.heldBack() {
		s.room.Wait()
	}
	return !s.closed
}

func (s *Stream) heldBack() bool {
	for v := range s.viewers {
		if v.write && !v.exempt && s.ring.end-v.acked >= Window {
			return true
		}
	}
	return false
}

// Release lets output go on whatever the viewers do, because the process has ended and only its last output is left.
func (s *Stream) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = true
	s.room.Broadcast()
}

// End says that the process has exited and that all of its output was written.
func (s *Stream) End(exit Exit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exit == nil {
		s.exit = &exit
	}
	s.free = true
	s.news.Broadcast()
	s.room.Broadcast()
}

// Close ends every viewer with io.EOF, whether or not it has seen everything.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.news.Broadcast()
	s.room.Broadcast()
}

// Size returns the size now.
func (s *Stream) Size() Size {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Position returns the sequence number after the last byte, and the exit or nil.
func (s *Stream) Position() (uint64, *Exit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.end, s.exit
}

// Attach adds a viewer. It must be closed.
func (s *Stream) Attach(o AttachOptions) *Viewer {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := &Viewer{stream: s, write: o.Write, size: o.Size, next: min(o.From, s.ring.end), sizeSeen: s.resizes - 1}
	v.acked = v.next
	s.viewers[v] = struct{}{}
	s.fit()
	return v
}

// fit makes the size that of the smallest writing viewer. With none it stays as it is.
func (s *Stream) fit() {
	var want Size
	for v := range s.viewers {
		switch {
		case !v.write || v.size.IsZero():
		case want.IsZero():
			want = v.size.Clamp()
		default:
			want = want.smallest(v.size.Clamp())
		}
	}
	if want.IsZero() || want == s.size {
		return
	}
	s.size = want
	s.resizes++
	if s.resized != nil {
		s.resized(want)
	}
	s.news.Broadcast()
}
