//go:build docker

package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"vivarium/internal/fault"
)

func frame(kind byte, payload string) []byte {
	header := make([]byte, frameHeader, frameHeader+len(payload))
	header[0] = kind
	binary.BigEndian.PutUint32(header[4:], uint32(len(payload)))
	return append(header, payload...)
}

func streamOf(in io.Reader) *stream { return &stream{in: bufio.NewReader(in)} }

func TestAStreamIsWhatTheFarSideWroteToItsOutputHoweverItArrives(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	sent := bytes.Join([][]byte{frame(stdoutFrame, "one "), frame(stdoutFrame, ""), frame(stderrFrame, "a message"), frame(stdoutFrame, large)}, nil)
	for name, in := range map[string]io.Reader{
		"at once":        bytes.NewReader(sent),
		"byte by byte":   iotest.OneByteReader(bytes.NewReader(sent)),
		"with its end":   iotest.DataErrReader(bytes.NewReader(sent)),
		"in halves":      iotest.HalfReader(bytes.NewReader(sent)),
		"behind waiting": iotest.OneByteReader(iotest.DataErrReader(bytes.NewReader(sent))),
	} {
		got, err := io.ReadAll(streamOf(in))
		if string(got) != "one "+large {
			t.Errorf("%s: want the output alone, got %d bytes", name, len(got))
		}
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "a message") {
			t.Errorf("%s: want the far side's message at the end, got %v", name, err)
		}
	}
}

func TestAStreamThatIsNotFramedIsAnErrorAndDeliversNothing(t *testing.T) {
	for name, sent := range map[string][]byte{
		"an unknown output":   frame(9, "x"),
		"of standard input":   frame(0, "x"),
		"no zeros":            append([]byte{stdoutFrame, 1, 0, 0, 0, 0, 0, 1}, 'x'),
		"raw output":          []byte("bash: a raw stream\n"),
		"half a header":       frame(stdoutFrame, "x")[:5],
		"less than announced": frame(stdoutFrame, "announced")[:frameHeader],
	} {
		got, err := io.ReadAll(streamOf(bytes.NewReader(sent)))
		if len(got) > 0 {
			t.Errorf("%s: want nothing, got %q", name, got)
		}
		if name != "less than announced" && err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestMessagesOfAFarSideAreBounded(t *testing.T) {
	var sent []byte
	for range 100 {
		sent = append(sent, frame(stderrFrame, strings.Repeat("e", 10_000))...)
	}
	s := streamOf(bytes.NewReader(sent))
	if _, err := io.ReadAll(s); err == nil || len(s.messages) != maxMessages {
		t.Errorf("want %d bytes kept, got %d and %v", maxMessages, len(s.messages), err)
	}
}

func TestClosingAStreamEndsARead(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	s := &stream{conn: near, in: bufio.NewReader(near)}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Read(make([]byte, 10))
		ended <- err
	}()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("want the read to fail")
	}
}
