package agentclient

import (
	"encoding/binary"
	"errors"
	"io"
)

// guard watches the frames of yamux that an agent sends and fails on those that have no use here but could hurt: yamux
// answers each ping in a goroutine of its own, so that a flood of them would fill the server's memory.
type guard struct {
	io.ReadWriteCloser
	header [muxHeader]byte
	have   int    // bytes of header so far
	body   uint32 // bytes of the current frame's body still to come
	broken error
}

// The parts of yamux's framing that the guard needs; see the specification at github.com/hashicorp/yamux/blob/master/spec.md.
const (
	muxHeader   = 12
	muxData     = 0 // the only type whose length counts bytes that follow
	muxWindow   = 1
	muxGoAway   = 3
	muxTypeAt   = 1
	muxLengthAt = 8
)

var errMux = errors.New("a frame of the multiplexer that is not allowed")

func newGuard(stream io.ReadWriteCloser) *guard { return &guard{ReadWriteCloser: stream} }

func (g *guard) Read(p []byte) (int, error) {
	if g.broken != nil {
		return 0, g.broken
	}
	n, err := g.ReadWriteCloser.Read(p)
	if at, ok := g.inspect(p[:n]); !ok {
		// What came before the bad frame is whole; the bad one is not passed on.
		g.broken = errMux
		return at, errMux
	}
	return n, err
}

// inspect follows the framing through p. It returns false at the end of a header that is not allowed, and where.
func (g *guard) inspect(p []byte) (int, bool) {
	at := 0
	for at < len(p) {
		if g.body > 0 {
			skip := min(uint32(len(p)-at), g.body)
			g.body -= skip
			at += int(skip)
			continue
		}
		n := copy(g.header[g.have:], p[at:])
		g.have += n
		at += n
		if g.have < muxHeader {
			break
		}
		g.have = 0
		switch g.header[muxTypeAt] {
		case muxData:
			g.body = binary.BigEndian.Uint32(g.header[muxLengthAt:])
		case muxWindow, muxGoAway:
		default:
			return max(at-muxHeader, 0), false
		}
	}
	return at, true
}
