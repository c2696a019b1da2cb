package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// whole is the size up to which a file is read at once before it is sent, in bytes.
const whole = 1 << 20

// read sends a file's content with its sum. A file that changes meanwhile is never sent as a mixture: the sum is of what
// was read first, and the stream is cut when what follows is something else.
func (w *Worker) read(rw http.ResponseWriter, r *http.Request) error {
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	dir, name, err := w.tree.parent(path)
	if err != nil {
		return err
	}
	defer dir.close()
	// Looked at before it is opened, so that no device is ever opened; opened without blocking and looked at once more,
	// because it may have been swapped.
	if stat, err := lstat(dir.fd, name); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return noFile(err)
	}
	fd, err := openat(dir.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	stat, err := fstat(fd)
	if err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return noFile(err)
	}
	if limit := maxFile(r); stat.Size > limit {
		return agentproto.Refuse(agentproto.TooLarge, "%s", tooLarge(limit))
	}
	hash := sha256.New()
	if stat.Size <= whole {
		var content bytes.Buffer
		content.Grow(int(stat.Size))
		size, err := copyAt(r.Context(), io.MultiWriter(&content, hash), fd, stat.Size)
		if err != nil {
			return err
		}
		describe(rw, size, hash)
		_, _ = rw.Write(content.Bytes()) // a lost stream is the reader's to notice
		return nil
	}
	size, err := copyAt(r.Context(), hash, fd, stat.Size)
	if err != nil {
		return err
	}
	describe(rw, size, hash)
	again := sha256.New()
	sent, err := copyAt(r.Context(), io.MultiWriter(rw, again), fd, size)
	if err != nil || sent != size || !bytes.Equal(hash.Sum(nil), again.Sum(nil)) {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func describe(rw http.ResponseWriter, size int64, hash hash.Hash) {
	rw.Header().Set("Content-Type", "application/octet-stream")
	rw.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	rw.Header().Set(agentproto.SumHeader, hex.EncodeToString(hash.Sum(nil)))
}

func noFile(err error) error {
	if err != nil {
		return err
	}
	return agentproto.Refuse(agentproto.Conflict, "it is not a file")
}
