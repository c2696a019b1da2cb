package terminal

import "io"

// Viewer is one reader of a Stream. Next has one caller at a time; the other methods may be called concurrently with it.
type Viewer struct {
	stream *Stream
	write  bool

	// Guarded by the stream's lock.
	next     uint64 // sequence number of the next byte to deliver
	acked    uint64 // everything before it was drawn
	size     Size
	sizeSeen uint64
	joined   bool // has been given output
	exempt   bool
	ended    bool
	closed   bool
}

// Next blocks for the next event; its Data is in into, which must hold MaxFrame bytes at least for full speed. Every event
// carries in Seq the viewer's place in the output. It returns io.EOF after Exit was delivered, or when the viewer or the
// stream was closed.
func (v *Viewer) Next(into []byte) (Event, error) {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch start := s.ring.start(); {
		case v.closed || s.closed || v.ended:
			return Event{}, io.EOF
		case v.sizeSeen != s.resizes:
			v.sizeSeen = s.resizes
			size := s.size
			return Event{Seq: v.next, Size: &size}, nil
		case v.next < start:
			return v.skip(start), nil
		case v.next < s.ring.end && v.budget() > 0:
			n := s.ring.copyAt(into[:min(len(into), MaxFrame, v.budget())], v.next)
			event := Event{Seq: v.next, Data: into[:n]}
			v.next += uint64(n)
			v.joined = true
			return event, nil
		case v.next == s.ring.end && s.exit != nil:
			v.ended = true
			exit := *s.exit
			return Event{Seq: v.next, Exit: &exit}, nil
		}
		s.news.Wait()
	}
}

// budget returns how many bytes the viewer may be given before it acknowledges.
func (v *Viewer) budget() int {
	if !v.write || v.exempt {
		return MaxFrame
	}
	return Window - int(v.next-v.acked)
}

// skip goes on behind what the ring no longer holds. Whoever arrives gets all that is left; one that could not keep up
// goes on half-way, else the next write would make it skip again.
func (v *Viewer) skip(start uint64) Event {
	to := start
	if v.joined {
		to = start + uint64(v.stream.ring.held/2)
	}
	to = v.stream.ring.lineAfter(to)
	event := Event{Seq: to, Dropped: to - v.next}
	v.next = to
	v.acked = max(v.acked, to)
	v.stream.room.Broadcast()
	return event
}

// Start returns the sequence number that the viewer is at.
func (v *Viewer) Start() uint64 {
	v.stream.mu.Lock()
	defer v.stream.mu.Unlock()
	return v.next
}

// Ack says that everything before seq was drawn. What was never delivered cannot have been.
func (v *Viewer) Ack(seq uint64) {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq = min(seq, v.next); seq > v.acked {
		v.acked = seq
		s.room.Broadcast()
		s.news.Broadcast()
	}
}

// Exempt takes the viewer out of the flow control, or puts it back. While its input cannot be taken, its
// acknowledgements wait behind that input: to hold the PTY back for it then could stop both for ever.
func (v *Viewer) Exempt(exempt bool) {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	v.exempt = exempt
	s.room.Broadcast()
	s.news.Broadcast()
}

// Resize sets the viewer's size; only that of a writing viewer counts.
func (v *Viewer) Resize(size Size) {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if !v.closed {
		v.size = size
		s.fit()
	}
}

// Close removes the viewer from its stream. It may be called more than once.
func (v *Viewer) Close() {
	s := v.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.closed {
		return
	}
	v.closed = true
	delete(s.viewers, v)
	s.fit()
	s.room.Broadcast()
	s.news.Broadcast()
}
