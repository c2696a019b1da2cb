package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pattern returns the byte that has the sequence number, so that every byte tells where it belongs.
func pattern(seq uint64) byte { return byte(seq*7 + seq>>8*13 + seq>>16) }

func output(from uint64, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = pattern(from + uint64(i))
	}
	return p
}

// watcher is a viewer under test, with what it has seen.
type watcher struct {
	*Viewer
	next    uint64 // what must come next
	dropped uint64
	ended   bool
	buf     []byte
}

// take checks one event; the viewer must have one.
func (w *watcher) take(t *rapid.T) {
	event, err := w.Next(w.buf)
	if err != nil {
		t.Fatalf("%v", err)
	}
	switch {
	case event.Exit != nil:
		w.ended = true
	case event.Size != nil:
	case event.Dropped > 0:
		if event.Seq-event.Dropped != w.next {
			t.Fatalf("dropped %d before %d, but %d was next", event.Dropped, event.Seq, w.next)
		}
		w.next = event.Seq
		w.dropped += event.Dropped
	default:
		if event.Seq != w.next || len(event.Data) == 0 {
			t.Fatalf("want output from %d, got %d bytes from %d", w.next, len(event.Data), event.Seq)
		}
		for i, b := range event.Data {
			if b != pattern(event.Seq+uint64(i)) {
				t.Fatalf("the byte at %d is not what was written", event.Seq+uint64(i))
			}
		}
		w.next += uint64(len(event.Data))
	}
}

// ready reports whether Next would not block.
func (w *watcher) ready() bool {
	s := w.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	return !w.ended && (w.sizeSeen != s.resizes || w.Viewer.next < s.ring.start() || w.Viewer.next < s.ring.end && w.budget() > 0 ||
		w.Viewer.next == s.ring.end && s.exit != nil)
}

func TestW6_EachViewerSeesEverythingOnceOrIsToldWhatItMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStream(DefaultSize, nil)
		s.ring.limit = rapid.SampledFrom([]int{1, 100, ringStart, 50_000}).Draw(t, "ring")
		var end uint64
		var watchers []*watcher
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				if !s.heldBack() {
					n := rapid.SampledFrom([]int{0, 1, 50, 4000, 20_000}).Draw(t, "bytes")
					s.Write(output(end, n))
					end += uint64(n)
				}
			case 2:
				from := rapid.Uint64Range(0, end+10).Draw(t, "from")
				w := &watcher{Viewer: s.Attach(AttachOptions{From: from, Write: rapid.Bool().Draw(t, "write"), Size: DefaultSize})}
				w.next, w.buf = min(from, end), make([]byte, rapid.SampledFrom([]int{1, 1000, MaxFrame}).Draw(t, "buffer"))
				if w.Start() != w.next {
					t.Fatalf("want a start at %d, got %d", w.next, w.Start())
				}
				watchers = append(watchers, w)
			case 3, 4:
				for _, w := range watchers {
					for n := rapid.IntRange(0, 5).Draw(t, "reads"); n > 0 && w.ready(); n-- {
						w.take(t)
					}
				}
			case 5:
				for _, w := range watchers {
					w.Ack(rapid.Uint64Range(0, end+10).Draw(t, "ack"))
				}
			}
		}
		s.End(Exit{Code: 1})
		for i, w := range watchers {
			for !w.ended {
				w.Ack(w.next)
				if !w.ready() {
					t.Fatalf("viewer %d waits although the stream has ended", i)
				}
				w.take(t)
			}
			if w.next != end {
				t.Fatalf("viewer %d ended at %d of %d", i, w.next, end)
			}
			if _, err := w.Next(w.buf); !errors.Is(err, io.EOF) {
				t.Fatalf("want io.EOF after the exit, got %v", err)
			}
		}
	})
}

func TestAWriterThatAcknowledgesMissesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStream(DefaultSize, nil)
		w := &watcher{Viewer: s.Attach(AttachOptions{Write: true, Size: DefaultSize}), buf: make([]byte, MaxFrame)}
		var end uint64
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch {
			case !s.heldBack() && rapid.Bool().Draw(t, "write"):
				n := rapid.IntRange(1, MaxFrame).Draw(t, "bytes")
				s.Write(output(end, n))
				end += uint64(n)
			case w.ready():
				w.take(t)
			default:
				w.Ack(w.next)
			}
			if lag := end - w.acked; lag >= Window+MaxFrame {
				t.Fatalf("the output is %d bytes ahead of what was drawn", lag)
			}
		}
		if w.dropped > 0 {
			t.Fatalf("%d bytes were dropped", w.dropped)
		}
	})
}

func TestAStalledWriterHoldsOutputBackAndAStalledLookerDoesNot(t *testing.T) {
	s := NewStream(DefaultSize, nil)
	looker := s.Attach(AttachOptions{})
	for range 3 * RingBytes / MaxFrame {
		if !s.Await() {
			t.Fatal("closed")
		}
		s.Write(make([]byte, MaxFrame))
	}
	end, _ := s.Position()
	writer := s.Attach(AttachOptions{From: end, Write: true, Size: DefaultSize})
	s.Write(make([]byte, Window))
	let := make(chan bool, 1)
	go func() { let <- s.Await() }()
	select {
	case <-let:
		t.Fatal("output goes on although a writer is a window behind")
	case <-time.After(20 * time.Millisecond):
	}
	buf := make([]byte, MaxFrame)
	for got := uint64(0); got < MaxFrame; {
		event, err := writer.Next(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += uint64(len(event.Data))
	}
	writer.Ack(end + 1)
	if !<-let {
		t.Fatal("closed")
	}
	// The looker was overtaken long ago and is told so.
	for {
		event, err := looker.Next(buf)
		if err != nil {
			t.Fatal(err)
		}
		if event.Dropped > 0 {
			break
		}
		if event.Data != nil {
			t.Fatal("a viewer that missed output was not told")
		}
	}
}

func TestWhateverEndsAWriterLetsOutputGoOn(t *testing.T) {
	for name, f := range map[string]func(*Stream, *Viewer){
		"it is closed":             func(_ *Stream, v *Viewer) { v.Close() },
		"its input has no room":    func(_ *Stream, v *Viewer) { v.Exempt(true) },
		"the process has exited":   func(s *Stream, _ *Viewer) { s.Release() },
		"the terminal is closed":   func(s *Stream, _ *Viewer) { s.Close() },
		"another one is closed, …": func(_ *Stream, v *Viewer) { v.Exempt(true); v.Close(); v.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s := NewStream(DefaultSize, nil)
			v := s.Attach(AttachOptions{Write: true, Size: DefaultSize})
			s.Write(make([]byte, Window))
			let := make(chan bool, 1)
			go func() { let <- s.Await() }()
			f(s, v)
			if wanted := <-let; wanted != (name != "the terminal is closed") {
				t.Fatalf("Await says %v", wanted)
			}
		})
	}
}

func TestNextIsWokenByClose(t *testing.T) {
	s := NewStream(DefaultSize, nil)
	v := s.Attach(AttachOptions{})
	if event, err := v.Next(nil); err != nil || event.Size == nil || *event.Size != DefaultSize {
		t.Fatalf("want the size first, got %+v, %v", event, err)
	}
	ended := make(chan error, 1)
	go func() { _, err := v.Next(make([]byte, 1)); ended <- err }()
	v.Close()
	if err := <-ended; !errors.Is(err, io.EOF) {
		t.Fatalf("want io.EOF, got %v", err)
	}
}

func TestTheSizeIsThatOfTheSmallestWriter(t *testing.T) {
	var told []Size
	s := NewStream(Size{80, 24}, func(size Size) { told = append(told, size) })
	wide := s.Attach(AttachOptions{Write: true, Size: Size{200, 20}})
	tall := s.Attach(AttachOptions{Write: true, Size: Size{100, 60}})
	s.Attach(AttachOptions{Size: Size{1, 1}})
	s.Attach(AttachOptions{Write: true})
	wide.Resize(Size{65535, 65535})
	tall.Close()
	wide.Resize(Size{})
	wide.Close()
	want := []Size{{200, 20}, {100, 20}, {100, 60}, {MaxCols, MaxRows}}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Fatalf("want %v, got %v", want, told)
	}
	if s.Size() != (Size{MaxCols, MaxRows}) {
		t.Fatalf("want the last size kept without writers, got %v", s.Size())
	}
}

func TestWhoeverMissedOutputGoesOnAtALinesBegin(t *testing.T) {
	s := NewStream(DefaultSize, nil)
	line := []byte("0123456789\r\n")
	s.Write(bytes.Repeat(line, 2*RingBytes/len(line)))
	v := s.Attach(AttachOptions{})
	buf := make([]byte, MaxFrame)
	for {
		event, err := v.Next(buf)
		if err != nil {
			t.Fatal(err)
		}
		if event.Data != nil {
			if !bytes.HasPrefix(event.Data, line) {
				t.Fatalf("got %q", event.Data[:20])
			}
			return
		}
	}
}

func TestARingIsSmallUntilItIsNeeded(t *testing.T) {
	s := NewStream(DefaultSize, nil)
	if len(s.ring.buf) != 0 {
		t.Fatalf("an unused ring has %d bytes", len(s.ring.buf))
	}
	s.Write([]byte("x"))
	if len(s.ring.buf) != ringStart {
		t.Fatalf("want %d, got %d", ringStart, len(s.ring.buf))
	}
	for range 100 {
		s.Write(make([]byte, MaxFrame))
	}
	if len(s.ring.buf) != RingBytes {
		t.Fatalf("want %d, got %d", RingBytes, len(s.ring.buf))
	}
}
