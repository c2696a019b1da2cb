package agentproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// FrameType is the first byte of a frame.
type FrameType byte

// The frames of an attachment.
const (
	Input   FrameType = 0x01 // server: bytes for the PTY
	Resize  FrameType = 0x02 // server: cols and rows, two bytes each
	Ack     FrameType = 0x03 // server: sequence number drawn up to, eight bytes
	Output  FrameType = 0x11 // agent: sequence number of the first byte, eight bytes, then bytes
	Dropped FrameType = 0x12 // agent: first sequence number not delivered, and the one it goes on with, eight bytes each
	Exit    FrameType = 0x13 // agent: JSON terminal.Exit; the last frame
	Size    FrameType = 0x14 // agent: cols and rows, two bytes each
)

const (
	// HeaderSize is the type and the payload's length.
	HeaderSize = 5
	// SeqSize is a sequence number.
	SeqSize = 8
	// MaxData is how many bytes of a terminal one frame carries.
	MaxData = 64 << 10
	// MaxPayload bounds a frame's payload.
	MaxPayload = MaxData + SeqSize
	// maxExit bounds the JSON of an exit.
	maxExit = 1 << 10
)

// ErrFrame is a frame that breaks the protocol. The connection cannot be used any further.
var ErrFrame = errors.New("malformed frame")

// payloads says how long a frame's payload may be.
var payloads = map[FrameType]struct{ least, most int }{
	Input: {1, MaxData}, Resize: {4, 4}, Ack: {SeqSize, SeqSize},
	Output: {SeqSize + 1, MaxPayload}, Dropped: {2 * SeqSize, 2 * SeqSize}, Exit: {2, maxExit}, Size: {4, 4},
}

// Reader reads frames into one buffer of its own, which grows to what the largest frame so far needed and never beyond
// MaxPayload.
type Reader struct {
	r      io.Reader
	header [HeaderSize]byte
	buf    []byte
}

// NewReader returns a Reader of r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next frame. The payload is valid until the next call. It returns io.EOF between two frames,
// io.ErrUnexpectedEOF within one, and ErrFrame for a type or length that is not allowed, before it reads the payload.
func (r *Reader) Next() (FrameType, []byte, error) {
	if _, err := io.ReadFull(r.r, r.header[:]); err != nil {
		return 0, nil, err
	}
	kind, length := FrameType(r.header[0]), binary.BigEndian.Uint32(r.header[1:])
	bounds, known := payloads[kind]
	if !known || length < uint32(bounds.least) || length > uint32(bounds.most) {
		return 0, nil, fmt.Errorf("%w: type %#x with %d bytes", ErrFrame, byte(kind), length)
	}
	if int(length) > cap(r.buf) {
		r.buf = make([]byte, max(int(length), min(2*cap(r.buf), MaxPayload)))
	}
	payload := r.buf[:length]
	if _, err := io.ReadFull(r.r, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return kind, payload, nil
}

// PutHeader writes a frame's header to the front of dst.
func PutHeader(dst []byte, kind FrameType, payload int) {
	dst[0] = byte(kind)
	binary.BigEndian.PutUint32(dst[1:], uint32(payload))
}

// AppendFrame adds a whole frame to dst.
func AppendFrame(dst []byte, kind FrameType, payload []byte) []byte {
	var header [HeaderSize]byte
	PutHeader(header[:], kind, len(payload))
	return append(append(dst, header[:]...), payload...)
}

// AppendSize adds a frame with a size to dst.
func AppendSize(dst []byte, kind FrameType, cols, rows uint16) []byte {
	var p [4]byte
	binary.BigEndian.PutUint16(p[:], cols)
	binary.BigEndian.PutUint16(p[2:], rows)
	return AppendFrame(dst, kind, p[:])
}

// AppendSeqs adds a frame with sequence numbers to dst.
func AppendSeqs(dst []byte, kind FrameType, seqs ...uint64) []byte {
	p := make([]byte, 0, 2*SeqSize)
	for _, seq := range seqs {
		p = binary.BigEndian.AppendUint64(p, seq)
	}
	return AppendFrame(dst, kind, p)
}

// PutOutputHeader writes the header and sequence number of an output frame with n bytes to dst, which is HeaderSize and
// SeqSize long.
func PutOutputHeader(dst []byte, seq uint64, n int) {
	PutHeader(dst, Output, SeqSize+n)
	binary.BigEndian.PutUint64(dst[HeaderSize:], seq)
}

// ParseSize reads the payload of Resize and Size.
func ParseSize(p []byte) (cols, rows uint16) {
	return binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
}

// ParseSeq reads the sequence number at the front of p.
func ParseSeq(p []byte) uint64 { return binary.BigEndian.Uint64(p) }
