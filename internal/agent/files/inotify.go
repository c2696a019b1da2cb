package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// watchMask is what is of interest. Writes are told while they happen, because a program may keep its log open for hours.
const watchMask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MODIFY | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_MOVED_FROM |
	unix.IN_MOVED_TO | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW | unix.IN_EXCL_UNLINK

// inotify watches a tree's folders with the kernel's inotify. It is used by one goroutine, but for close. Its paths are
// hints: a folder swapped for a link may be watched under a wrong path, and a scan finds out what is true.
type inotify struct {
	tree   *tree
	ignore []string
	file   *os.File
	byWD   map[int32]string
	byPath map[string]int32
	full   bool // the kernel gives no more watches
	buf    []byte
}

func newInotify(t *tree, ignore []string) (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return &inotify{tree: t, ignore: ignore, file: os.NewFile(uintptr(fd), "inotify"), byWD: map[int32]string{},
		byPath: map[string]int32{}, buf: make([]byte, 64<<10)}, nil
}

func (n *inotify) close() { n.file.Close() }

// add watches a folder and all below it. Each folder is watched before it is listed, so that nothing falls between.
func (n *inotify) add(rel string, depth int) {
	if depth > agentproto.MaxDepth || n.full {
		return
	}
	raw, err := n.file.SyscallConn()
	if err != nil {
		return
	}
	var wd int
	var addErr error
	if err := raw.Control(func(fd uintptr) { wd, addErr = unix.InotifyAddWatch(int(fd), path.Join(n.tree.path, rel), watchMask) }); err != nil {
		return
	}
	if addErr != nil {
		// Only a used-up limit says something about the others; a folder that is gone or locked is its own matter.
		n.full = errors.Is(addErr, unix.ENOSPC) || errors.Is(addErr, unix.ENOMEM)
		return
	}
	n.byWD[int32(wd)], n.byPath[rel] = rel, int32(wd)
	for _, name := range n.folders(rel) {
		n.add(path.Join(rel, name), depth+1)
	}
}

// folders returns the names of the folders in a folder.
func (n *inotify) folders(rel string) []string {
	above, name := folder{fd: n.tree.root, kept: true}, "."
	if rel != "" {
		var err error
		if above, name, err = n.tree.parent(rel); err != nil {
			return nil
		}
	}
	defer above.close()
	fd, err := openFolder(above.fd, name)
	if err != nil {
		return nil
	}
	dir := os.NewFile(uintptr(fd), rel)
	defer dir.Close()
	var names []string
	for {
		entries, err := dir.ReadDir(1024)
		for _, entry := range entries {
			if entry.IsDir() && !hidden(entry.Name(), n.ignore) {
				names = append(names, entry.Name())
			}
		}
		if err != nil || len(entries) == 0 {
			return names
		}
	}
}

// drop forgets a folder that was moved away, and all below it.
func (n *inotify) drop(rel string) {
	raw, err := n.file.SyscallConn()
	if err != nil {
		return
	}
	for one, wd := range n.byPath {
		if one == rel || strings.HasPrefix(one, rel+"/") {
			_ = raw.Control(func(fd uintptr) { _, _ = unix.InotifyRmWatch(int(fd), uint32(wd)) }) // gone already: what was wanted
			delete(n.byPath, one)
			delete(n.byWD, wd)
		}
	}
}

// read blocks for events and calls changed with each path, or with all set when the kernel lost some.
func (n *inotify) read(changed func(path string, all bool)) error {
	got, err := n.file.Read(n.buf)
	if err != nil {
		return err
	}
	for events := n.buf[:got]; len(events) >= unix.SizeofInotifyEvent; {
		wd := int32(binary.NativeEndian.Uint32(events))
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if end > len(events) {
			break
		}
		name := string(bytes.TrimRight(events[unix.SizeofInotifyEvent:end], "\x00"))
		events = events[end:]
		n.event(wd, mask, name, changed)
	}
	return nil
}

func (n *inotify) event(wd int32, mask uint32, name string, changed func(string, bool)) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		n.add("", 0)
		changed("", true)
		return
	}
	dir, known := n.byWD[wd]
	if !known {
		return
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(n.byWD, wd)
		if n.byPath[dir] == wd {
			delete(n.byPath, dir)
		}
		return
	}
	if name == "" {
		// About the folder itself: its own parent tells of its end, and here its mode may have changed.
		if mask&unix.IN_ATTRIB != 0 && dir != "" {
			changed(dir, false)
		}
		return
	}
	if hidden(name, n.ignore) {
		return
	}
	rel := path.Join(dir, name)
	if mask&unix.IN_ISDIR != 0 {
		if mask&(unix.IN_MOVED_FROM|unix.IN_DELETE) != 0 {
			n.drop(rel)
		}
		if mask&(unix.IN_MOVED_TO|unix.IN_CREATE) != 0 {
			n.add(rel, strings.Count(rel, "/")+1)
		}
	}
	changed(rel, false)
}
