package terminal

import "bytes"

// ringStart is the first allocation of a ring. It doubles up to RingBytes, so that sixteen quiet terminals cost little of
// their sandbox's memory.
const ringStart = 16 << 10

// ring keeps the last bytes of an endless stream, addressed by their sequence numbers.
type ring struct {
	buf   []byte // the byte with sequence number s is at s modulo len(buf)
	end   uint64 // sequence number after the last byte
	held  int    // bytes before end that are in buf
	limit int    // of len(buf)
}

func (r *ring) start() uint64 { return r.end - uint64(r.held) }

func (r *ring) write(p []byte) {
	if over := len(p) - r.limit; over > 0 {
		r.end += uint64(over)
		r.held = 0
		p = p[over:]
	}
	r.grow(r.held + len(p))
	for len(p) > 0 {
		n := copy(r.buf[r.end%uint64(len(r.buf)):], p)
		r.end += uint64(n)
		r.held = min(r.held+n, len(r.buf))
		p = p[n:]
	}
}

func (r *ring) grow(need int) {
	if need <= len(r.buf) || len(r.buf) == r.limit {
		return
	}
	size := max(len(r.buf), min(ringStart, r.limit))
	for size < need && size < r.limit {
		size = min(2*size, r.limit)
	}
	grown := make([]byte, size)
	for seq := r.start(); seq < r.end; {
		from := r.buf[seq%uint64(len(r.buf)):]
		from = from[:min(uint64(len(from)), r.end-seq)]
		seq += uint64(copy(grown[seq%uint64(size):], from))
	}
	r.buf = grown
}

// copyAt copies bytes from seq on, which the ring must hold, and returns how many.
func (r *ring) copyAt(dst []byte, seq uint64) int {
	done := 0
	for done < len(dst) && seq < r.end {
		from := r.buf[seq%uint64(len(r.buf)):]
		from = from[:min(uint64(len(from)), r.end-seq)]
		n := copy(dst[done:], from)
		done += n
		seq += uint64(n)
	}
	return done
}

// lineAfter returns the sequence number after the next line end at or after seq, if one is near: a good place to go on
// for someone who missed what was before. Otherwise it returns seq.
func (r *ring) lineAfter(seq uint64) uint64 {
	var near [4096]byte
	n := r.copyAt(near[:], seq)
	if at := bytes.IndexByte(near[:n], '\n'); at >= 0 {
		return seq + uint64(at) + 1
	}
	return seq
}
