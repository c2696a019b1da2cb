package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// folderVersion is the version of the data folder's layout that this program writes and the newest that it reads.
const folderVersion = 1

// folder is the data folder, held by one server at a time. In it: VERSION, lock, keys.json, postgres (the embedded
// database) and sandboxes.
type folder struct {
	dir  string
	lock *os.File
}

// errFolderInUse says that another server holds the folder.
var errFolderInUse = errors.New("another Vivarium server uses this folder")

// openFolder makes the folder where it is missing, and takes it for this process. It refuses one of a newer program.
//
// As root the folder may be passed through (mode 0711) and not listed: the embedded database in it runs as another user.
// What is in it has modes of its own.
func openFolder(dir string) (*folder, error) {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be made: %w. Choose another with --data-dir", dir, cause(err))
	}
	if err := os.Chmod(dir, mode); err != nil {
		return nil, fmt.Errorf("the data folder %s belongs to somebody else: %w. Choose another with --data-dir", dir, cause(err))
	}
	f := &folder{dir: dir}
	if err := f.take(); err != nil {
		return nil, err
	}
	if err := f.checkVersion(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// take locks the folder. The lock ends with the process, however it ends.
func (f *folder) take() error {
	lock, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be written: %w", f.dir, cause(err))
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("%w: %s. Stop it, or choose another folder with --data-dir", errFolderInUse, f.dir)
		}
		return fmt.Errorf("the data folder %s cannot be locked: %w. Put it on a local file system", f.dir, err)
	}
	f.lock = lock
	return nil
}

func (f *folder) checkVersion() error {
	text, err := os.ReadFile(f.path("VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return writeFile(f.path("VERSION"), strconv.Itoa(folderVersion)+"\n")
	}
	if err != nil {
		return fmt.Errorf("the data folder's version cannot be read: %w", err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || version < 1 {
		return fmt.Errorf("%s is damaged: it should hold the number %d. Is %s the data folder?", f.path("VERSION"), folderVersion, f.dir)
	}
	if version > folderVersion {
		return fmt.Errorf("the data folder %s was written by a newer Vivarium (layout %d, this program knows %d). "+
			"Install the newer program again, or restore a backup from before the upgrade", f.dir, version, folderVersion)
	}
	return nil
}

// writeFile writes a new file so that it is there whole or not at all, also after a power failure.
func writeFile(name, content string) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // there is none after the rename
	_, err = tmp.WriteString(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) close() {
	if f.lock != nil {
		_ = f.lock.Close() // which frees the lock
		f.lock = nil
	}
}

// cause returns the system's own words for an error, without the path that the message has already.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e
	}
	return err
}
