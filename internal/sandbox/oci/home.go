package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
)

// homes are the workspaces' homes: one sparse file each that holds an ext4 of exactly the allowed size, so that what a
// user writes is bounded by the kernel. The user's folder is one below the file system's root, which the sandbox never
// sees; the driver looks at nothing but that root.
type homes struct {
	dir      string
	skeleton string // folder with the files of a new home, in "user"
	layout   string // identity of the image that skeleton is in; part of the template's name
}

// userFolder is the user's folder in a home's file system.
const userFolder = "user"

func (h homes) image(workspace string) string { return filepath.Join(h.dir, workspace+".ext4") }
func (h homes) owner(workspace string) string { return filepath.Join(h.dir, workspace+".owner") }

// claim makes the sandbox the one that may mount the home, also across servers that share the folder.
func (h homes) claim(workspace, id, sandboxes string) error {
	mine := h.owner(workspace) + "." + id
	if err := os.WriteFile(mine, []byte(id), 0o600); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be prepared. Check the server's disk.")
	}
	defer os.Remove(mine)
	for {
		err := os.Link(mine, h.owner(workspace))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		taken, err := h.inUse(workspace, sandboxes)
		if err != nil {
			return err
		}
		if taken {
			return fault.New(fault.Conflict, "The workspace has a sandbox already.").On("workspace")
		}
		if err := os.Remove(h.owner(workspace)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// inUse reports whether a sandbox that exists has claimed the home.
func (h homes) inUse(workspace, sandboxes string) (bool, error) {
	id, err := os.ReadFile(h.owner(workspace))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if validID(string(id)) != nil {
		return false, nil
	}
	_, err = os.Lstat(filepath.Join(sandboxes, string(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// release gives the home back if the sandbox has it.
func (h homes) release(workspace, id string) error {
	owner, err := os.ReadFile(h.owner(workspace))
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(owner) != id {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(h.owner(workspace))
}

// attach makes the home if the workspace has none, brings it to its size, and attaches it to a loop device.
func (h homes) attach(ctx context.Context, workspace string, size int64) (*loop, error) {
	size = size / homeBlock * homeBlock
	image := h.image(workspace)
	info, err := os.Stat(image)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = h.make(ctx, image, size)
	case err == nil && info.Size() != size:
		err = h.resize(ctx, image, info.Size(), size)
	}
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			err = fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be prepared. Check the server's disk.")
		}
		return nil, err
	}
	l, err := attachLoop(image)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be attached: the server has no usable loop device.")
	}
	return l, nil
}

// mount mounts an attached home, closes the loop device, which the mount keeps, and returns the user's folder.
func (h homes) mount(ctx context.Context, workspace string, l *loop, at string) (string, error) {
	defer l.Close()
	err := mountExt4(l.Name(), at)
	if err != nil {
		if _, checkErr := checkExt4(ctx, h.image(workspace)); checkErr != nil {
			return "", fault.Wrap(errors.Join(err, checkErr), fault.Unavailable, "The workspace's home is damaged and could not be mended.")
		}
		err = mountExt4(l.Name(), at)
	}
	if err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be mounted.")
	}
	return filepath.Join(at, userFolder), nil
}

func mountExt4(device, at string) error {
	// Inode tables that nobody uses stay unwritten, and what is deleted is given back to the machine's disk.
	err := unix.Mount(device, at, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, "noinit_itable,discard,errors=remount-ro")
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// detach unmounts the home and waits until its loop device is free. It succeeds when nothing is mounted.
func (h homes) detach(ctx context.Context, workspace, at string, number *int) error {
	for {
		err := unix.Unmount(at, unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // not mounted, or no more
			break
		}
		if errors.Is(err, unix.EBUSY) { // a process of the sandbox is about to be gone
			if !pause(ctx, 5*time.Millisecond) {
				return fmt.Errorf("unmount: %w", err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
	}
	if number == nil {
		return nil
	}
	// The device is freed a moment after the last mount of it is gone. Should some namespace of the machine keep one, the
	// next sandbox uses the device again.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for loopHas(*number, h.image(workspace)) && pause(ctx, 2*time.Millisecond) {
	}
	return nil
}

// remove deletes the home. It succeeds when there is none.
func (h homes) remove(workspace, sandboxes string) error {
	taken, err := h.inUse(workspace, sandboxes)
	if err != nil {
		return err
	}
	if taken {
		return fault.New(fault.Conflict, "The workspace still has a sandbox.").On("workspace")
	}
	for _, name := range []string{h.image(workspace), h.owner(workspace)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be deleted.")
		}
	}
	return nil
}

const (
	homeBlock  = 4096
	templateOf = ".template-"
)

// make makes the home from a template, in one step that a crash cannot leave half done.
func (h homes) make(ctx context.Context, image string, size int64) error {
	template, err := h.template(ctx, size)
	if err != nil {
		return err
	}
	temp := image + ".new"
	if err := copySparse(template, temp); err != nil {
		return err
	}
	return os.Rename(temp, image)
}

// template returns an empty home of the size, made with mke2fs at its first use.
func (h homes) template(ctx context.Context, size int64) (string, error) {
	name := filepath.Join(h.dir, templateOf+h.layout+"-"+strconv.FormatInt(size, 10)+".ext4")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	mke2fs, err := tool("mke2fs")
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(h.dir, ".new-template-")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return "", err
	}
	// A small journal keeps a home whole when the machine loses power; nothing is reserved for root.
	_, err = output(ctx, createTimeout, []string{mke2fs, "-q", "-F", "-t", "ext4", "-b", strconv.Itoa(homeBlock), "-m", "0", "-J", "size=4",
		"-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", "-d", h.skeleton, file.Name()})
	if err != nil {
		return "", err
	}
	h.forgetTemplates()
	return name, os.Rename(file.Name(), name)
}

// forgetTemplates removes the templates of other images.
func (h homes) forgetTemplates() {
	names, err := filepath.Glob(filepath.Join(h.dir, templateOf+"*"))
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(filepath.Base(name), templateOf+h.layout+"-") {
			_ = os.Remove(name) // it only takes space
		}
	}
}

// resize brings an image that is not attached to a size. It fails as Exhausted when more is in it.
func (h homes) resize(ctx context.Context, image string, from, to int64) error {
	resize2fs, err := tool("resize2fs")
	if err != nil {
		return err
	}
	if reuse := reuseLoop(image); reuse != nil {
		_ = reuse.Close() // only looked at
		return fault.New(fault.Conflict, "The workspace's home is still in use.").On("workspace")
	}
	if _, err := checkExt4(ctx, image); err != nil {
		return err
	}
	if to > from {
		if err := os.Truncate(image, to); err != nil {
			return err
		}
	}
	_, err = output(ctx, createTimeout, []string{resize2fs, image, strconv.FormatInt(to/1024, 10) + "K"})
	if err != nil {
		if to < from {
			return fault.Wrap(err, fault.Exhausted, "The workspace's home holds more than the %s that are allowed now.", mebibytes(to))
		}
		return err
	}
	return os.Truncate(image, to)
}

// checkExt4 mends an image that is not mounted.
func checkExt4(ctx context.Context, image string) (string, error) {
	e2fsck, err := tool("e2fsck")
	if err != nil {
		return "", err
	}
	out, err := output(ctx, createTimeout, []string{e2fsck, "-f", "-y", image})
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 { // mended
		return out, nil
	}
	return out, err
}

// copySparse copies the parts of a file that hold data, and makes the copy durable.
func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = copyData(dst, src, info.Size())
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}

func copyData(dst, src *os.File, size int64) error {
	if err := dst.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		begin, err := src.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) { // only a hole is left
			return nil
		}
		if err != nil {
			return err
		}
		end, err := src.Seek(begin, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		if _, err := src.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := dst.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(dst, src, end-begin); err != nil {
			return err
		}
		at = end
	}
	return nil
}
