package files

import (
	"errors"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// tree is the workspace's folder, held open, below which every path is resolved.
type tree struct {
	root int
	path string
	// walk is set where the kernel has no openat2: old ones, and releases of gVisor before 2026.
	walk atomic.Bool
}

func openTree(path string) (*tree, error) {
	root, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, path: path}, nil
}

// open opens a path below the root. No part of it may be a symbolic link (ELOOP or ENOTDIR), and it never blocks.
func (t *tree) open(path string, flags int, mode uint32) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if flags&unix.O_PATH == 0 { // openat2 takes it for a mistake
		flags |= unix.O_NONBLOCK
	}
	for !t.walk.Load() {
		how := unix.OpenHow{Flags: uint64(flags), Mode: uint64(mode),
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS}
		fd, err := unix.Openat2(t.root, path, &how)
		switch {
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			// EPERM is what some seccomp profiles say to calls that they do not know. For a file that may not be opened, the
			// walk says it again.
			t.walk.Store(true)
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		default:
			return fd, err
		}
	}
	return t.step(path, flags, mode)
}

// step is open for kernels without openat2: it opens part by part and never follows a link, so that there is no moment
// at which a path that was checked is resolved again.
func (t *tree) step(path string, flags int, mode uint32) (int, error) {
	dir := t.root
	for {
		part, rest, more := strings.Cut(path, "/")
		var fd int
		var err error
		if more {
			fd, err = openat(dir, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		} else {
			fd, err = openat(dir, part, flags, mode)
		}
		if dir != t.root {
			unix.Close(dir)
		}
		if err != nil || !more {
			return fd, err
		}
		dir, path = fd, rest
	}
}

// folder is an open folder; its name is for nothing but opening what is in it.
type folder struct {
	fd   int
	kept bool // not ours to close
}

func (f folder) close() {
	if !f.kept {
		unix.Close(f.fd)
	}
}

// parent opens the folder that a path is in and returns the path's last name.
func (t *tree) parent(path string) (folder, string, error) {
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return folder{fd: t.root, kept: true}, path, nil
	}
	fd, err := t.open(path[:at], unix.O_PATH|unix.O_DIRECTORY, 0)
	return folder{fd: fd}, path[at+1:], err
}

// makeParent is parent that makes what is missing.
func (t *tree) makeParent(path string) (folder, string, error) {
	dir, name, err := t.parent(path)
	if !errors.Is(err, unix.ENOENT) {
		return dir, name, err
	}
	above := path[:strings.LastIndexByte(path, '/')]
	if err := t.makeFolder(above); err != nil {
		return folder{}, "", err
	}
	return t.parent(path)
}

// makeFolder makes a folder and those above it. One that exists is left as it is.
func (t *tree) makeFolder(path string) error {
	dir, name, err := t.makeParent(path)
	if err != nil {
		return err
	}
	defer dir.close()
	err = unix.Mkdirat(dir.fd, name, 0o755)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	stat, err := lstat(dir.fd, name)
	if err == nil && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		err = unix.EEXIST
	}
	return err
}

func openat(dir int, name string, flags int, mode uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// openFolder opens a folder to list it. It takes two steps because gVisor (release of September 2026) follows a link when
// O_DIRECTORY and O_NOFOLLOW are given without O_PATH.
func openFolder(dir int, name string) (int, error) {
	handle, err := openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(handle)
	return openat(handle, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

func lstat(dir int, name string) (unix.Stat_t, error) {
	var stat unix.Stat_t
	err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	return stat, err
}

func fstat(fd int) (unix.Stat_t, error) {
	var stat unix.Stat_t
	err := unix.Fstat(fd, &stat)
	return stat, err
}

func readlink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
