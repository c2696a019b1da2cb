package files

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

const (
	maxScanBody = 8 << 20
	// stale is how old a temporary file must be to be the leaving of a worker that was killed.
	stale = time.Hour
	// swaps is how often something that is one thing when looked at and another when opened is looked at again.
	swaps = 8
	// readings bounds how often a folder that changes meanwhile is listed.
	readings = 4
)

// scan lists the tree, or what the request names, one line for each entry.
func (w *Worker) scan(rw http.ResponseWriter, r *http.Request) error {
	var q agentproto.ScanRequest
	if err := json.NewDecoder(http.MaxBytesReader(rw, r.Body, maxScanBody)).Decode(&q); err != nil {
		return agentproto.Refuse(agentproto.Invalid, "the scan's request is not JSON")
	}
	for _, p := range q.Paths {
		if err := checkPath(p); err != nil {
			return err
		}
	}
	if q.MaxFile <= 0 {
		q.MaxFile = defaultMaxFile
	}
	rw.Header().Set("Content-Type", "application/x-ndjson")
	out := bufio.NewWriterSize(rw, 32<<10)
	s := &scanner{tree: w.tree, sums: w.sums, ctx: r.Context(), request: q, lines: json.NewEncoder(out)}
	s.lines.SetEscapeHTML(false)
	last := agentproto.Line{Complete: true}
	if err := s.run(); err != nil {
		// The answer has begun, so that the failure can only be its last line.
		refusal, ok := errors.AsType[*agentproto.Error](err)
		if !ok {
			refusal = w.failed(r, err)
		}
		last = agentproto.Line{Error: refusal}
	}
	last.Count = s.count
	if err := s.lines.Encode(last); err != nil {
		return nil // the stream is lost, and with it the answer
	}
	_ = out.Flush()
	return nil
}

// scanner is one scan under way.
type scanner struct {
	tree    *tree
	sums    *sums
	ctx     context.Context
	request agentproto.ScanRequest
	lines   *json.Encoder
	count   int
}

func (s *scanner) run() error {
	if s.request.Paths == nil {
		fd, err := openFolder(s.tree.root, ".")
		if err != nil {
			return err
		}
		return s.folder(fd, "", 0)
	}
	for _, p := range outermost(s.request.Paths) {
		if err := s.named(p); err != nil {
			return err
		}
	}
	return nil
}

// outermost sorts the paths and leaves out those that are below another.
func outermost(paths []string) []string {
	set := map[string]bool{}
	for _, p := range paths {
		set[p] = true
	}
	var out []string
	for p := range set {
		below := false
		for at := strings.LastIndexByte(p, '/'); at > 0 && !below; at = strings.LastIndexByte(p[:at], '/') {
			below = set[p[:at]]
		}
		if !below {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return out
}

// named scans one path that the request names. What does not exist, or is behind a link, is not listed.
func (s *scanner) named(path string) error {
	for part := range strings.SplitSeq(path, "/") {
		if hidden(part, s.request.Ignore) {
			return nil
		}
	}
	dir, name, err := s.tree.parent(path)
	switch {
	case err == nil:
	case gone(err), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return nil
	case unreadable(err):
		return s.emit(agentproto.Line{Path: path, Kind: agentproto.Other, Problem: problem("cannot be looked at", err)})
	default:
		return err
	}
	defer dir.close()
	return s.entry(dir.fd, name, path, strings.Count(path, "/")+1)
}

// folder scans what is in an open folder, which it closes. depth is that of the folder; the root's is 0.
func (s *scanner) folder(fd int, path string, depth int) error {
	dir := os.NewFile(uintptr(fd), path)
	defer dir.Close()
	names, err := s.list(dir)
	if err != nil {
		return err
	}
	prefix := path
	if prefix != "" {
		prefix += "/"
	}
	for _, name := range names {
		if strings.HasPrefix(name, agentproto.ReservedPrefix) {
			s.sweep(fd, name)
		}
		if hidden(name, s.request.Ignore) {
			continue
		}
		if err := s.entry(fd, name, prefix+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// list returns the names in a folder. A name that is renamed while they are read can be missing in one reading, and must
// not be taken for removed: a folder that changed meanwhile is read again, and every name that was seen counts.
func (s *scanner) list(dir *os.File) ([]string, error) {
	var all []string
	for reading := 1; ; reading++ {
		before, err := fstat(int(dir.Fd()))
		if err != nil {
			return nil, err
		}
		names, err := s.listOnce(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, names...)
		after, err := fstat(int(dir.Fd()))
		if err != nil {
			return nil, err
		}
		if reading == readings || before.Mtim == after.Mtim && before.Ctim == after.Ctim {
			if reading > 1 {
				slices.Sort(all)
				all = slices.Compact(all)
			}
			return all, nil
		}
		if _, err := dir.Seek(0, 0); err != nil {
			return nil, err
		}
	}
}

func (s *scanner) listOnce(dir *os.File) ([]string, error) {
	var names []string
	for {
		some, err := dir.Readdirnames(1024)
		names = append(names, some...)
		if len(some) == 0 {
			if err != nil && err != io.EOF {
				return nil, err
			}
			return names, nil
		}
		if err := s.room(len(names)); err != nil {
			return nil, err
		}
	}
}

// room fails when the listing grows beyond its bound.
func (s *scanner) room(more int) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if most := s.request.MaxEntries; most > 0 && s.count+more > most {
		return agentproto.Refuse(agentproto.Exhausted, "the workspace has more than %d files and folders", most)
	}
	return nil
}

// emit writes one entry. Its path may be any bytes.
func (s *scanner) emit(line agentproto.Line) error {
	if err := s.room(1); err != nil {
		return err
	}
	s.count++
	if !utf8.ValidString(line.Path) {
		line.RawPath, line.Path = []byte(line.Path), ""
		if line.Problem == "" {
			line.Problem = "its name is not UTF-8"
		}
	}
	if line.Problem == "" && !utf8.ValidString(line.Target) {
		line.Target, line.Problem = "", "its target is not UTF-8"
	}
	return s.lines.Encode(line)
}

// entry scans one name in an open folder, with all that is below it.
func (s *scanner) entry(dir int, name, path string, depth int) error {
	for range swaps {
		stat, err := lstat(dir, name)
		switch {
		case err == nil:
		case gone(err):
			return nil
		case unreadable(err):
			return s.emit(agentproto.Line{Path: path, Kind: agentproto.Other, Problem: problem("cannot be looked at", err)})
		default:
			return err
		}
		done, err := s.classify(dir, name, path, depth, &stat)
		if done || err != nil {
			return err
		}
	}
	// It exists, so that leaving it out would say that it was removed.
	return s.emit(agentproto.Line{Path: path, Kind: agentproto.Other, Problem: "it changes too fast to be read"})
}

// classify scans a name as what it was a moment ago, and returns false when it is that no more.
func (s *scanner) classify(dir int, name, path string, depth int, stat *unix.Stat_t) (bool, error) {
	line := agentproto.Line{Path: path}
	if depth > agentproto.MaxDepth {
		line.Problem = fmt.Sprintf("it is more than %d folders deep", agentproto.MaxDepth)
	}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		line.Kind = agentproto.Folder
		if line.Problem != "" {
			return true, s.emit(line)
		}
		fd, err := openFolder(dir, name)
		if err != nil {
			return s.unopened(line, err)
		}
		if err := s.emit(line); err != nil {
			unix.Close(fd)
			return true, err
		}
		return true, s.folder(fd, path, depth)
	case unix.S_IFREG:
		line.Kind, line.Size, line.Executable = agentproto.File, stat.Size, stat.Mode&0o100 != 0
		if sum, ok := s.sums.get(stat); ok && line.Problem == "" && line.Size <= s.request.MaxFile {
			line.Sum = hex.EncodeToString(sum[:])
			return true, s.emit(line)
		}
		return s.file(dir, name, line)
	case unix.S_IFLNK:
		target, err := readlink(dir, name)
		if err != nil {
			return s.unopened(line, err)
		}
		line.Kind, line.Target = agentproto.Link, target
		return true, s.emit(line)
	default:
		line.Kind, line.Problem = agentproto.Other, oddities[stat.Mode&unix.S_IFMT]
		if line.Problem == "" {
			line.Problem = "it is neither a file nor a folder nor a link"
		}
		return true, s.emit(line)
	}
}

var oddities = map[uint32]string{unix.S_IFIFO: "it is a named pipe", unix.S_IFSOCK: "it is a socket",
	unix.S_IFCHR: "it is a device", unix.S_IFBLK: "it is a device"}

// file scans a regular file.
func (s *scanner) file(dir int, name string, line agentproto.Line) (bool, error) {
	if line.Problem != "" {
		return true, s.emit(line)
	}
	if line.Size > s.request.MaxFile {
		line.Problem = tooLarge(s.request.MaxFile)
		return true, s.emit(line)
	}
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return s.unopened(line, err)
	}
	defer unix.Close(fd)
	stat, err := fstat(fd)
	if err != nil {
		return true, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return false, nil
	}
	line.Size, line.Executable = stat.Size, stat.Mode&0o100 != 0
	switch {
	case stat.Size > s.request.MaxFile:
		line.Problem = tooLarge(s.request.MaxFile)
	case stat.Mode&(unix.S_ISUID|unix.S_ISGID) != 0:
		line.Problem = "it has the setuid or setgid bit"
	case stat.Nlink > 1 && int(stat.Uid) != os.Geteuid():
		line.Problem = "it is a hard link to a file of somebody else's"
	}
	if line.Problem != "" {
		return true, s.emit(line)
	}
	sum, size, err := s.sums.of(s.ctx, fd, &stat)
	if err != nil {
		if s.ctx.Err() != nil {
			return true, err
		}
		line.Problem = problem("cannot be read", err)
		return true, s.emit(line)
	}
	line.Size, line.Sum = size, hex.EncodeToString(sum[:])
	return true, s.emit(line)
}

// unopened reports an entry that could not be opened, or that it is another thing by now.
func (s *scanner) unopened(line agentproto.Line, err error) (bool, error) {
	switch {
	case gone(err), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENXIO):
		return false, nil
	case unreadable(err):
		line.Problem = problem("cannot be read", err)
		return true, s.emit(line)
	}
	return true, err
}

// sweep removes the temporary file of a worker that was killed long ago.
func (s *scanner) sweep(dir int, name string) {
	stat, err := lstat(dir, name)
	if err == nil && time.Since(time.Unix(stat.Mtim.Unix())) > stale && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		_ = unix.Unlinkat(dir, name, 0) // hidden in any case; the next scan tries again
	}
}

func gone(err error) bool { return errors.Is(err, unix.ENOENT) }

// unreadable reports errors that belong to one entry and must not fail the whole scan.
func unreadable(err error) bool {
	return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EIO) || errors.Is(err, unix.ENAMETOOLONG) ||
		errors.Is(err, unix.ETXTBSY) || errors.Is(err, unix.EOVERFLOW)
}

func problem(what string, err error) string {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return "it " + what + ": " + errno.Error()
	}
	return "it " + what
}

func tooLarge(limit int64) string {
	if limit >= 1<<20 {
		return fmt.Sprintf("it is larger than %d MiB", limit>>20)
	}
	return fmt.Sprintf("it is larger than %d bytes", limit)
}
