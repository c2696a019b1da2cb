// Package files is the worker that tends a workspace's files inside its sandbox, with the rights of the sandbox's user.
// Every path is opened below a handle of the workspace's folder and no symbolic link is ever followed, so that a user's
// program that swaps folders and links under its hands cannot make it read or write anything else. It must never block on
// what it finds (FIFOs, devices, files that grow), and never call a listing complete that was cut short.
package files

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// Worker answers the file requests of the agent's protocol.
type Worker struct {
	tree    *tree
	sums    *sums
	log     *slog.Logger
	watches watches
}

// New returns the handler for the workspace in the folder root. It hides the process from its own user's debuggers and
// sets the mask of the modes of new files, so it must be the only work of its process.
func New(root string, log *slog.Logger) (http.Handler, error) {
	// Otherwise the user, whose uid we share, could trace us. That could not hurt the server, but would confuse it.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		log.Info("the file worker stays open to its user's debuggers", "err", err)
	}
	unix.Umask(0o022)
	_, handler, err := newWorker(root, log)
	return handler, err
}

func newWorker(root string, log *slog.Logger) (*Worker, http.Handler, error) {
	t, err := openTree(root)
	if err != nil {
		return nil, nil, err
	}
	w := &Worker{tree: t, sums: newSums(), log: log}
	mux := http.NewServeMux()
	for pattern, f := range map[string]func(http.ResponseWriter, *http.Request) error{
		"POST /v1/files/scan":   w.scan,
		"GET /v1/files/content": w.read,
		"PUT /v1/files/content": w.put,
		"POST /v1/files/folder": w.makeFolder,
		"POST /v1/files/link":   w.makeLink,
		"DELETE /v1/files/item": w.remove,
		"POST /v1/files/load":   w.load,
		"GET /v1/files/watch":   w.watch,
	} {
		mux.HandleFunc(pattern, agentproto.Handler(f, w.failed))
	}
	return w, mux, nil
}

// failed makes an answer of an error that is no refusal: what the system said about a file.
func (w *Worker) failed(r *http.Request, err error) *agentproto.Error {
	kind, message := explain(err)
	if kind == agentproto.Internal {
		w.log.Warn("a file request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	return &agentproto.Error{Kind: kind, Message: message}
}

// explain says what an error of the system means for the caller.
func explain(err error) (agentproto.Kind, string) {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return agentproto.Invalid, "the content was cut short"
	}
	errno, ok := errors.AsType[unix.Errno](err)
	if !ok {
		return agentproto.Internal, err.Error()
	}
	switch errno {
	case unix.ENOENT:
		return agentproto.NotFound, "nothing is there"
	case unix.ELOOP, unix.ENOTDIR, unix.EXDEV:
		return agentproto.Conflict, "a part of the path is not a folder"
	case unix.EEXIST, unix.ENOTEMPTY, unix.EISDIR, unix.ETXTBSY, unix.EBUSY:
		return agentproto.Conflict, "something else is there: " + errno.Error()
	case unix.EACCES, unix.EPERM, unix.EROFS:
		return agentproto.Forbidden, errno.Error()
	case unix.ENOSPC, unix.EDQUOT:
		return agentproto.Exhausted, "the sandbox's disk is full"
	case unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN:
		return agentproto.Unavailable, errno.Error()
	case unix.ENAMETOOLONG, unix.EINVAL:
		return agentproto.Invalid, errno.Error()
	}
	return agentproto.Internal, errno.Error()
}

// pathOf returns the request's path, which must be one that stays inside whatever it is resolved in.
func pathOf(r *http.Request) (string, error) {
	p := r.URL.Query().Get("path")
	if err := checkPath(p); err != nil {
		return "", err
	}
	return p, nil
}

func checkPath(p string) error {
	if p == "" || len(p) >= unix.PathMax || strings.ContainsRune(p, 0) {
		return agentproto.Refuse(agentproto.Invalid, "a path has 1 to %d bytes and no NUL", unix.PathMax-1)
	}
	for part := range strings.SplitSeq(p, "/") {
		switch {
		case part == "", part == ".", part == "..":
			return agentproto.Refuse(agentproto.Invalid, "a path is relative, without empty parts, \".\" and \"..\"")
		case strings.HasPrefix(part, agentproto.ReservedPrefix):
			return agentproto.Refuse(agentproto.Invalid, "names that begin with %s are the agent's own", agentproto.ReservedPrefix)
		}
	}
	return nil
}

// defaultMaxFile bounds what is read where the server names no limit, in bytes.
const defaultMaxFile = 64 << 20

func maxFile(r *http.Request) int64 {
	if n, err := strconv.ParseInt(r.URL.Query().Get("maxFile"), 10, 64); err == nil && n > 0 {
		return n
	}
	return defaultMaxFile
}

// hidden reports whether a name is left out of scans and watching.
func hidden(name string, ignore []string) bool {
	return strings.HasPrefix(name, agentproto.ReservedPrefix) || slices.Contains(ignore, name)
}
