package files

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// errElse is the refusal of a change whose expectation does not hold.
var errElse = agentproto.Refuse(agentproto.Conflict, "something else is there than was expected")

// change reads what every change has in its query.
func change(r *http.Request) (path string, expect agentproto.Expect, err error) {
	if path, err = pathOf(r); err != nil {
		return path, expect, err
	}
	if expect, err = agentproto.ParseExpect(r.URL.Query()); err != nil {
		return path, expect, agentproto.Refuse(agentproto.Invalid, "%v", err)
	}
	return path, expect, nil
}

// put writes a file whole: into a temporary file beside its place, which then takes the place. Whoever has the old file
// open goes on with the old one.
func (w *Worker) put(rw http.ResponseWriter, r *http.Request) error {
	// An answer before the end of the body could be lost with the connection.
	defer io.Copy(io.Discard, r.Body)
	path, expect, err := change(r)
	if err != nil {
		return err
	}
	mode := uint32(0o644)
	if r.URL.Query().Get("executable") == "1" {
		mode = 0o755
	}
	dir, name, err := w.tree.makeParent(path)
	if err != nil {
		return err
	}
	defer dir.close()
	temp := agentproto.ReservedPrefix + rand.Text()
	if err := writeNew(dir.fd, temp, mode, r.Body); err != nil {
		return err
	}
	if err := w.place(r, dir.fd, temp, name, expect); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// writeNew makes a file that does not exist yet. After an error nothing is left of it.
func writeNew(dir int, name string, mode uint32, content io.Reader) (err error) {
	fd, err := openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	defer func() {
		if closed := unix.Close(fd); err == nil {
			err = closed
		}
		if err != nil {
			_ = unix.Unlinkat(dir, name, 0) // what remains is hidden, and swept by a later scan
		}
	}()
	buf := *buffers.Get().(*[]byte)
	defer buffers.Put(&buf)
	_, err = io.CopyBuffer(onlyWriter{fdWriter(fd)}, content, buf)
	return err
}

// onlyWriter keeps io.CopyBuffer from finding a way around its buffer.
type onlyWriter struct{ io.Writer }

type fdWriter int

func (w fdWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := unix.Write(int(w), p[done:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, err
		}
		done += max(n, 0)
	}
	return done, nil
}

// place renames a temporary file to its name if the expectation holds, else removes it. Where nothing is expected the
// kernel checks and renames in one step. Otherwise a change by the user between the check and the rename, a few
// microseconds, would be overwritten; there is no system call that compares and renames.
func (w *Worker) place(r *http.Request, dir int, temp, name string, expect agentproto.Expect) error {
	err := w.check(r.Context(), dir, name, expect, maxFile(r))
	switch {
	case err != nil:
	case expect == agentproto.Expect{}:
		err = renameNew(dir, temp, name)
	default:
		err = unix.Renameat(dir, temp, dir, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temp, 0) // hidden, and swept by a later scan
	}
	return err
}

// renameNew renames to a name that must be free.
func renameNew(dir int, temp, name string) error {
	err := unix.Renameat2(dir, temp, dir, name, unix.RENAME_NOREPLACE)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if err := unix.Linkat(dir, temp, dir, name, 0); err != nil {
		return err
	}
	return unix.Unlinkat(dir, temp, 0)
}

// check compares what is at a name with what is expected.
func (w *Worker) check(ctx context.Context, dir int, name string, expect agentproto.Expect, limit int64) error {
	stat, err := lstat(dir, name)
	if expect.Any {
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		return err
	}
	if errors.Is(err, unix.ENOENT) {
		if expect.Kind == "" {
			return nil
		}
		return errElse
	}
	if err != nil {
		return err
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if expect.Kind == agentproto.Folder {
			return nil
		}
	case unix.S_IFLNK:
		if expect.Kind != agentproto.Link {
			break
		}
		if target, err := readlink(dir, name); err != nil || target == expect.Target {
			return err
		}
	case unix.S_IFREG:
		if expect.Kind != agentproto.File || stat.Size > limit || (stat.Mode&0o100 != 0) != expect.Executable {
			break
		}
		sum, err := w.sumOf(ctx, dir, name)
		if err == nil && sum == expect.Sum {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
	}
	return errElse
}

func (w *Worker) sumOf(ctx context.Context, dir int, name string) (sum [32]byte, err error) {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return sum, err
	}
	defer unix.Close(fd)
	stat, err := fstat(fd)
	if err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return sum, noFile(err)
	}
	sum, _, err = w.sums.of(ctx, fd, &stat)
	return sum, err
}

func (w *Worker) makeFolder(rw http.ResponseWriter, r *http.Request) error {
	path, err := pathOf(r)
	if err != nil {
		return err
	}
	if err := w.tree.makeFolder(path); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

func (w *Worker) makeLink(rw http.ResponseWriter, r *http.Request) error {
	path, expect, err := change(r)
	if err != nil {
		return err
	}
	target := r.URL.Query().Get("target")
	if target == "" || len(target) >= unix.PathMax {
		return agentproto.Refuse(agentproto.Invalid, "a link's target has 1 to %d bytes", unix.PathMax-1)
	}
	dir, name, err := w.tree.makeParent(path)
	if err != nil {
		return err
	}
	defer dir.close()
	temp := agentproto.ReservedPrefix + rand.Text()
	if err := unix.Symlinkat(target, dir.fd, temp); err != nil {
		return err
	}
	if err := w.place(r, dir.fd, temp, name, expect); err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}

// remove removes a file, a link or an empty folder. A folder that holds nothing but what no scan lists counts as empty.
func (w *Worker) remove(rw http.ResponseWriter, r *http.Request) error {
	path, expect, err := change(r)
	if err != nil {
		return err
	}
	dir, name, err := w.tree.parent(path)
	if err != nil {
		return err
	}
	defer dir.close()
	if err := w.check(r.Context(), dir.fd, name, expect, maxFile(r)); err != nil {
		return err
	}
	stat, err := lstat(dir.fd, name)
	if err != nil {
		return err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.Unlinkat(dir.fd, name, 0)
	} else {
		err = removeFolder(r.Context(), dir.fd, name, r.URL.Query()["ignore"])
	}
	if err != nil {
		return err
	}
	rw.WriteHeader(http.StatusNoContent)
	return nil
}
