package agentproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// FuzzReader is case P1 of the threats: whatever comes, no panic, no allocation beyond one frame, and what was read can be
// written again.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x11, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 'x'})
	f.Add([]byte{0x11, 0x80, 0, 0, 0})
	f.Add([]byte{0x01, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x02, 0, 0, 0, 4, 0, 80, 0, 24, 0x03, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(bytes.Repeat([]byte{0x01, 0, 0, 0, 0}, 100))
	f.Add([]byte{0x13, 0, 0, 0, 2, '{', '}', 0x99})
	f.Add([]byte{0x12, 0, 0, 0, 16, 0, 0})
	f.Fuzz(func(t *testing.T, input []byte) {
		r := NewReader(iotest.OneByteReader(bytes.NewReader(input)))
		var again []byte
		for {
			kind, payload, err := r.Next()
			if cap(r.buf) > MaxPayload {
				t.Fatalf("the buffer has grown to %d bytes", cap(r.buf))
			}
			if err != nil {
				if errors.Is(err, io.EOF) && len(again) != len(input) {
					t.Fatal("the end between two frames was said within one")
				}
				break
			}
			again = AppendFrame(again, kind, payload)
		}
		if !bytes.HasPrefix(input, again) {
			t.Fatal("the frames that were read are not those that came")
		}
	})
}

func TestP1_AFrameIsRefusedByItsHeader(t *testing.T) {
	for name, header := range map[string][]byte{
		"no type":                 {0, 0, 0, 0, 1},
		"an unknown type":         {0x15, 0, 0, 0, 1},
		"no input":                {byte(Input), 0, 0, 0, 0},
		"input beyond the bound":  {byte(Input), 0, 1, 0, 1},
		"output without bytes":    {byte(Output), 0, 0, 0, 8},
		"output beyond the bound": {byte(Output), 0, 1, 0, 9},
		"output of 2 GiB":         {byte(Output), 0x80, 0, 0, 0},
		"a short size":            {byte(Size), 0, 0, 0, 3},
		"a long acknowledgement":  {byte(Ack), 0, 0, 0, 9},
		"an exit beyond reason":   {byte(Exit), 0, 0, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			// Reading on would fail the test: only the header is there.
			r := NewReader(io.MultiReader(bytes.NewReader(header), iotest.ErrReader(errors.New("read on"))))
			if _, _, err := r.Next(); !errors.Is(err, ErrFrame) {
				t.Fatalf("want ErrFrame, got %v", err)
			}
		})
	}
}

func TestTheLargestFramesAreTaken(t *testing.T) {
	buf := make([]byte, HeaderSize+SeqSize, HeaderSize+MaxPayload)
	PutOutputHeader(buf, 1<<63, MaxData)
	buf = append(buf, make([]byte, MaxData)...)
	buf = AppendFrame(buf, Input, make([]byte, MaxData))
	r := NewReader(bytes.NewReader(buf))
	kind, payload, err := r.Next()
	if err != nil || kind != Output || ParseSeq(payload) != 1<<63 || len(payload) != MaxPayload {
		t.Fatalf("%v, %d bytes, %v", kind, len(payload), err)
	}
	if kind, payload, err = r.Next(); err != nil || kind != Input || len(payload) != MaxData {
		t.Fatalf("%v, %d bytes, %v", kind, len(payload), err)
	}
	if _, _, err = r.Next(); err != io.EOF {
		t.Fatalf("want io.EOF, got %v", err)
	}
}

func TestFramesLookAsTheProtocolSays(t *testing.T) {
	for name, row := range map[string]struct{ got, want []byte }{
		"resize":  {AppendSize(nil, Resize, 0x0102, 0x0304), []byte{2, 0, 0, 0, 4, 1, 2, 3, 4}},
		"ack":     {AppendSeqs(nil, Ack, 0x0102030405060708), []byte{3, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}},
		"dropped": {AppendSeqs(nil, Dropped, 1, 2), []byte{0x12, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2}},
		"exit":    {AppendFrame(nil, Exit, []byte("{}")), []byte{0x13, 0, 0, 0, 2, '{', '}'}},
	} {
		if !bytes.Equal(row.got, row.want) {
			t.Errorf("%s: want %x, got %x", name, row.want, row.got)
		}
	}
	if binary.BigEndian.Uint32(AppendFrame(nil, Input, make([]byte, 300))[1:]) != 300 {
		t.Error("a length that is not big endian")
	}
}

func TestAnExpectationGoesThereAndBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SampledFrom([]Expect{{}, {Any: true}, {Kind: Folder}, {Kind: Link, Target: "a&b=c\n"},
			{Kind: File, Sum: [32]byte{1, 2, 255}, Executable: true}, {Kind: File}}).Draw(t, "expect")
		q := url.Values{}
		want.AddTo(q)
		back, err := url.ParseQuery(q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseExpect(back); err != nil || got != want {
			t.Fatalf("want %+v, got %+v, %v", want, got, err)
		}
	})
}

func TestAnExpectationThatIsNoneIsRefused(t *testing.T) {
	for _, q := range []string{"", "expect=", "expect=device", "expect=file", "expect=file&sum=12", "expect=file&sum=" + string(bytes.Repeat([]byte("g"), 64))} {
		values, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := ParseExpect(values); err == nil {
			t.Errorf("%q is taken for %+v", q, e)
		}
	}
}
