package agentclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/terminal"
)

var size = terminal.Size{Cols: 100, Rows: 30}

// screen reads an attachment and keeps what it saw.
type screen struct {
	t    *testing.T
	a    terminal.Attachment
	text bytes.Buffer
	next uint64
	exit *terminal.Exit
	size terminal.Size
}

func attach(t *testing.T, c *Client, id string, o terminal.AttachOptions) *screen {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	a, err := c.Attach(ctx, id, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return &screen{t: t, a: a, next: o.From}
}

// step takes one event and acknowledges it.
func (s *screen) step() bool {
	s.t.Helper()
	watchdog := time.AfterFunc(20*time.Second, func() { s.a.Close() })
	defer watchdog.Stop()
	event, err := s.a.Next()
	if errors.Is(err, io.EOF) {
		return false
	}
	if err != nil {
		s.t.Fatal(err)
	}
	switch {
	case event.Exit != nil:
		s.exit = event.Exit
	case event.Size != nil:
		s.size = *event.Size
	case event.Dropped > 0:
		s.t.Fatalf("%d bytes were dropped", event.Dropped)
	default:
		if event.Seq != s.next {
			s.t.Fatalf("want output from %d, got it from %d", s.next, event.Seq)
		}
		s.text.Write(event.Data)
		s.next += uint64(len(event.Data))
		if err := s.a.Ack(s.next); err != nil {
			s.t.Fatal(err)
		}
	}
	return true
}

// until reads until the output holds the text.
func (s *screen) until(text string) {
	s.t.Helper()
	for !strings.Contains(s.text.String(), text) {
		if !s.step() {
			s.t.Fatalf("want %q, got only %.2000q", text, s.text.String())
		}
	}
}

func (s *screen) toEnd() {
	s.t.Helper()
	for s.step() {
	}
	if s.exit == nil {
		s.t.Fatalf("the output ended without an exit: %q", s.text.String())
	}
}

func (s *screen) typeIn(text string) {
	s.t.Helper()
	if err := s.a.Input([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// run starts a program in a terminal and attaches to it as a writer.
func run(t *testing.T, c *Client, id string, argv ...string) *screen {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.OpenTerminal(ctx, terminal.Options{ID: id, Kind: terminal.Run, Argv: argv, Size: size}); err != nil {
		t.Fatal(err)
	}
	return attach(t, c, id, terminal.AttachOptions{Size: size, Write: true})
}

func TestAShellEchoesAndKnowsItsSize(t *testing.T) {
	b := newBox(t)
	c := b.client()
	state, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "shell", Kind: terminal.Shell, Title: "bash", Size: size})
	if err != nil {
		t.Fatal(err)
	}
	if state.Size != size || state.Exit != nil || state.Title != "bash" {
		t.Fatalf("got %+v", state)
	}
	s := attach(t, c, "shell", terminal.AttachOptions{Size: size, Write: true})
	s.typeIn("echo $((6*7)) in $PWD as $USER; stty size; tty\n")
	s.until("42 in " + b.root + " as user")
	s.until("30 100")
	s.until("/dev/pts/")
	s.typeIn("exit 3\n")
	s.toEnd()
	if s.exit.Code != 3 || s.exit.Signal != "" {
		t.Fatalf("want exit code 3, got %+v", s.exit)
	}
	list, err := c.Terminals(b.ctx())
	if err != nil || len(list) != 1 || list[0].Exit == nil || list[0].End != s.next {
		t.Fatalf("want the ended terminal with its output's end %d, got %+v, %v", s.next, list, err)
	}
}

func TestATerminalIsBusyWhileSomethingRunsInIt(t *testing.T) {
	b := newBox(t)
	c := b.client()
	if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "shell", Kind: terminal.Shell, Title: "bash", Size: size}); err != nil {
		t.Fatal(err)
	}
	busy := func() bool {
		list, err := c.Terminals(b.ctx())
		if err != nil || len(list) != 1 {
			t.Fatalf("got %+v, %v", list, err)
		}
		return list[0].Busy
	}
	s := attach(t, c, "shell", terminal.AttachOptions{Size: size, Write: true})
	eventually(t, "a shell at its prompt is not busy", func() bool { return !busy() })
	s.typeIn("echo be\"\"gun; sleep 60\n")
	s.until("begun")
	eventually(t, "a shell with a program is busy", busy)
	s.typeIn("\x03")
	eventually(t, "it is not after the program's end", func() bool { return !busy() })
	s.typeIn("sleep 60 & echo back\"\"ground\n")
	s.until("background")
	eventually(t, "a job in the background counts", busy)
}

func TestAProgramsEndIsTold(t *testing.T) {
	c := newBox(t).client()
	for _, row := range []struct {
		name, script string
		code         int
		signal       string
	}{
		{"it succeeds", "true", 0, ""},
		{"it fails", "exit 7", 7, ""},
		{"a signal ends it", "kill -KILL $$", -1, "SIGKILL"},
		{"SIGPIPE is at its default", "kill -PIPE $$", -1, "SIGPIPE"},
		{"SIGTERM is at its default", "kill -TERM $$", -1, "SIGTERM"},
		{"it leaves a process that holds the terminal", "sleep 60 & exit 5", 5, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			id := strings.ReplaceAll(row.name, " ", "-")
			s := run(t, c, id, "sh", "-c", "printf last; "+row.script)
			s.toEnd()
			if s.exit.Code != row.code || s.exit.Signal != row.signal {
				t.Fatalf("want %d %q, got %+v", row.code, row.signal, s.exit)
			}
			if got := s.text.String(); got != "last" {
				t.Fatalf("want its last output before the exit, got %q", got)
			}
			if err := c.CloseTerminal(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestAProgramThatIsNotThereSaysSo(t *testing.T) {
	c := newBox(t).client()
	s := run(t, c, "none", "no-such-program")
	s.toEnd()
	if s.exit.Code != 127 || !strings.Contains(s.text.String(), "no-such-program") {
		t.Fatalf("want 127 and the name, got %+v and %q", s.exit, s.text.String())
	}
	_, err := c.OpenTerminal(t.Context(), terminal.Options{ID: "nowhere", Kind: terminal.Run, Argv: []string{"true"}, Dir: "/no/such/folder"})
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("want Invalid for a folder that is not there, got %v", err)
	}
}

func TestAMebibyteOfOutputArrivesExactly(t *testing.T) {
	c := newBox(t).client()
	const lines = 150_000
	s := run(t, c, "seq", "seq", "1", fmt.Sprint(lines))
	s.toEnd()
	var want bytes.Buffer
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&want, "%d\r\n", i)
	}
	if !bytes.Equal(s.text.Bytes(), want.Bytes()) {
		t.Fatalf("want %d bytes, got %d that differ", want.Len(), s.text.Len())
	}
}

func TestW6_OutputGoesOnExactlyOnceOverALostConnection(t *testing.T) {
	b := newBox(t)
	first := b.client()
	s := run(t, first, "seq", "sh", "-c", "seq 1 100000; read x; echo got $x")
	for s.next < 200_000 {
		s.step()
	}
	b.stdio.Close()
	<-first.Done()
	for {
		if _, err := s.a.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				t.Fatal("a lost connection looks like a terminal that was closed")
			}
			break
		}
	}
	second := b.bridge()
	again := attach(t, second, "seq", terminal.AttachOptions{From: s.next, Size: size, Write: true})
	again.until("\r\n100000\r\n")
	again.typeIn("on\n")
	again.toEnd()
	text := s.text.String() + again.text.String()
	var want strings.Builder
	for i := 1; i <= 100_000; i++ {
		fmt.Fprintf(&want, "%d\r\n", i)
	}
	want.WriteString("on\r\ngot on\r\n")
	if text != want.String() {
		t.Fatalf("the two halves make %d bytes that are not the %d that were written", len(text), want.Len())
	}
}

func TestW4_AReaderThatNeverReadsHoldsNobodyUp(t *testing.T) {
	c := newBox(t).client()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := c.OpenTerminal(ctx, terminal.Options{ID: "yes", Kind: terminal.Run, Argv: []string{"yes", "0123456789"}}); err != nil {
		t.Fatal(err)
	}
	for range 3 { // only look, and never read
		a, err := c.Attach(ctx, "yes", terminal.AttachOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
	}
	s := attach(t, c, "yes", terminal.AttachOptions{Size: size, Write: true})
	for read := 0; read < 8<<20; {
		event, err := s.a.Next()
		if err != nil {
			t.Fatal(err)
		}
		read += len(event.Data) // what was before may be dropped
		if err := s.a.Ack(event.Seq + uint64(len(event.Data))); err != nil {
			t.Fatal(err)
		}
	}
	echo := run(t, c, "cat", "cat")
	echo.typeIn("hello\n")
	echo.until("hello\r\nhello\r\n")
}

func TestAWriterThatDoesNotAcknowledgeHoldsTheTerminalBack(t *testing.T) {
	c := newBox(t).client()
	s := run(t, c, "yes", "yes")
	for s.next < terminal.Window {
		event, err := s.a.Next()
		if err != nil {
			t.Fatal(err)
		}
		s.next += uint64(len(event.Data))
	}
	if s.next != terminal.Window {
		t.Fatalf("want the window of %d bytes without an acknowledgement, got %d", terminal.Window, s.next)
	}
	end := func() uint64 {
		list, err := c.Terminals(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0].End
	}
	if got := end(); got > terminal.Window+terminal.MaxFrame {
		t.Fatalf("the program wrote %d bytes while it was to be held back", got)
	}
	if err := s.a.Ack(s.next); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the program goes on after an acknowledgement", func() bool { return end() > 3*terminal.Window/2 })
}

func TestCtrlCStopsAFloodAtOnce(t *testing.T) {
	b := newBox(t)
	c := b.client()
	if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "sh", Kind: terminal.Shell, Size: size}); err != nil {
		t.Fatal(err)
	}
	s := attach(t, c, "sh", terminal.AttachOptions{Size: size, Write: true})
	s.typeIn("PS1='> '; yes flooding\n")
	for s.next < 2<<20 {
		s.step()
		if s.text.Len() > 1<<10 {
			s.text.Reset()
		}
	}
	begun, from := time.Now(), s.next
	s.text.Reset()
	s.typeIn("\x03")
	s.until("> ") // not every kernel echoes ^C
	if queued := s.next - from; queued > terminal.RingBytes {
		t.Fatalf("%d bytes came after Ctrl-C", queued)
	}
	t.Logf("prompt after %v", time.Since(begun))
	s.typeIn("echo still $((40+2))\n")
	s.until("still 42")
}

func TestAPasteThatNobodyReadsDoesNotLockTheTerminal(t *testing.T) {
	c := newBox(t).client()
	// It floods and does not read: the input cannot be taken, and the output needs acknowledgements.
	s := run(t, c, "deaf", "sh", "-c", "stty raw; yes & sleep 3; kill $!; wait; cat >/dev/null")
	s.until("y")
	watchdog := time.AfterFunc(20*time.Second, func() { s.a.Close() })
	defer watchdog.Stop()
	done := make(chan error, 1)
	go func() { done <- s.a.Input(bytes.Repeat([]byte("x"), 3<<20)) }()
	for s.next < 20<<20 {
		event, err := s.a.Next()
		if err != nil {
			t.Fatal(err)
		}
		s.next = event.Seq + uint64(len(event.Data)) // some may be dropped while the input has no room
		go s.a.Ack(s.next)
	}
	s.a.Close()
	<-done
	if _, err := c.Terminals(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheSmallestWriterDecidesTheSize(t *testing.T) {
	c := newBox(t).client()
	s := run(t, c, "t", "sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
	s.until("ready")
	eventuallySize(s, size)
	small := attach(t, c, "t", terminal.AttachOptions{Size: terminal.Size{Cols: 60, Rows: 50}, Write: true})
	eventuallySize(s, terminal.Size{Cols: 60, Rows: 30})
	s.until("30 60")
	looker := attach(t, c, "t", terminal.AttachOptions{Size: terminal.Size{Cols: 10, Rows: 10}})
	eventuallySize(looker, terminal.Size{Cols: 60, Rows: 30})
	if err := small.a.Resize(terminal.Size{Cols: 65535, Rows: 0}); err != nil {
		t.Fatal(err)
	}
	eventuallySize(s, terminal.Size{Cols: 100, Rows: 1})
	small.a.Close()
	eventuallySize(s, size)
}

func eventuallySize(s *screen, want terminal.Size) {
	s.t.Helper()
	for s.size != want {
		if !s.step() {
			s.t.Fatalf("want the size %v, got %v", want, s.size)
		}
	}
}
