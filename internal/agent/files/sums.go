package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// racy is how old a file's last change must be when its sum is taken for the sum to be remembered: within it the file may
// change once more without its times saying so. Git has the same guard ("racy git").
const racy = 2 * time.Second

// maxSums bounds the memory of the cache: about 100 bytes each.
const maxSums = 200_000

// sums remembers the sums of files that have not changed since.
type sums struct {
	mu    sync.Mutex
	known map[inode]known
}

type inode struct{ dev, ino uint64 }

type known struct {
	state state
	sum   [32]byte
}

// state is what a change of content changes too.
type state struct {
	size         int64
	mtime, ctime unix.Timespec
}

func newSums() *sums { return &sums{known: map[inode]known{}} }

func stateOf(s *unix.Stat_t) state { return state{s.Size, s.Mtim, s.Ctim} }

func (s *sums) get(stat *unix.Stat_t) ([32]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.known[inode{stat.Dev, stat.Ino}]
	return found.sum, ok && found.state == stateOf(stat)
}

func (s *sums) put(stat *unix.Stat_t, sum [32]byte, taken time.Time) {
	changed := max(time.Unix(stat.Mtim.Unix()).UnixNano(), time.Unix(stat.Ctim.Unix()).UnixNano())
	if taken.UnixNano()-changed < int64(racy) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxSums {
		clear(s.known)
	}
	s.known[inode{stat.Dev, stat.Ino}] = known{stateOf(stat), sum}
}

// buffers are for reading files.
var buffers = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// of returns the sum and the length of what an open file holds, up to the size that it has now: what a growing file gets
// meanwhile is left for the next time.
func (s *sums) of(ctx context.Context, fd int, stat *unix.Stat_t) (sum [32]byte, size int64, err error) {
	if sum, ok := s.get(stat); ok {
		return sum, stat.Size, nil
	}
	taken := time.Now()
	hash := sha256.New()
	if size, err = copyAt(ctx, hash, fd, stat.Size); err != nil {
		return sum, size, err
	}
	hash.Sum(sum[:0])
	if after, err := fstat(fd); err == nil && stateOf(&after) == stateOf(stat) && size == stat.Size {
		s.put(stat, sum, taken)
	}
	return sum, size, nil
}

// copyAt copies the first size bytes of a file, or fewer if it has become shorter.
func copyAt(ctx context.Context, to io.Writer, fd int, size int64) (int64, error) {
	buf := *buffers.Get().(*[]byte)
	defer buffers.Put(&buf)
	var done int64
	for done < size {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		n, err := unix.Pread(fd, buf[:min(int64(len(buf)), size-done)], done)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return done, err
		case n == 0:
			return done, nil
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return done, err
		}
		done += int64(n)
	}
	return done, nil
}
