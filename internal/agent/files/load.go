package files

import (
	"archive/tar"
	"errors"
	"io"
	"net/http"
	"strings"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// load unpacks a tar stream of files, folders and links. What exists already is left as it is; anything that is not
// inside fails the whole.
func (w *Worker) load(rw http.ResponseWriter, r *http.Request) error {
	defer io.Copy(io.Discard, r.Body)
	l := &loader{tree: w.tree}
	defer l.leave()
	archive := tar.NewReader(r.Body)
	loaded := 0
	for {
		header, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return agentproto.Refuse(agentproto.Invalid, "the archive is damaged: %v", err)
		}
		if err := r.Context().Err(); err != nil {
			return err
		}
		if err := l.item(header, archive); err != nil {
			return err
		}
		loaded++
	}
	agentproto.Answer(rw, http.StatusOK, agentproto.Loaded{Loaded: loaded})
	return nil
}

// loader keeps the folder of the last item open: an archive names the items of a folder one after the other.
type loader struct {
	tree *tree
	at   string
	dir  folder
	open bool
}

func (l *loader) leave() {
	if l.open {
		l.dir.close()
		l.open = false
	}
}

func (l *loader) item(header *tar.Header, content io.Reader) error {
	path := strings.TrimSuffix(header.Name, "/")
	if err := checkPath(path); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeDir {
		err := l.tree.makeFolder(path)
		return l.exists(err)
	}
	above := path[:max(strings.LastIndexByte(path, '/'), 0)]
	if !l.open || above != l.at {
		l.leave()
		dir, _, err := l.tree.makeParent(path)
		if err != nil {
			return err
		}
		l.dir, l.at, l.open = dir, above, true
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch header.Typeflag {
	case tar.TypeReg:
		mode := uint32(0o644)
		if header.Mode&0o100 != 0 {
			mode = 0o755
		}
		return l.exists(writeNew(l.dir.fd, name, mode, content))
	case tar.TypeSymlink:
		return l.exists(unix.Symlinkat(header.Linkname, l.dir.fd, name))
	default:
		return agentproto.Refuse(agentproto.Invalid, "an archive holds files, folders and symbolic links only")
	}
}

// exists forgives that something is there.
func (l *loader) exists(err error) error {
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}
