package oci

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"vivarium/internal/fault"
)

// homes are the workspaces' homes: one sparse file each that holds an ext4 of exactly the allowed size, so that what a
// user writes is bounded by the kernel. The user's folder is one below the file system's root, which the sandbox never
// sees; the driver looks at nothing but that root.
type homes struct {
	dir       string
	sandboxes string // folder of the sandboxes' bundles
	templates templates
}

// userFolder is the user's folder in a home's file system.
const userFolder = "user"

// newHomes returns the homes in a folder. The skeleton holds the files of a new one, in userFolder; the version is that of
// the image which the skeleton is in.
func newHomes(dir, sandboxes, skeleton, version string) homes {
	return homes{dir: dir, sandboxes: sandboxes, templates: templates{dir: dir, version: version, content: skeleton,
		// A small journal keeps a home whole when the machine loses power.
		flags: []string{"-J", "size=4", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"}}}
}

func (h homes) image(workspace string) string { return filepath.Join(h.dir, workspace+".ext4") }

// owner is the claim to mount the home.
func (h homes) owner(workspace string) claim {
	return claim{file: filepath.Join(h.dir, workspace+".owner"), sandboxes: h.sandboxes}
}

// claim makes the sandbox the one that may mount the home.
func (h homes) claim(workspace, id string) error {
	mine, err := h.owner(workspace).take(id)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be prepared. Check the server's disk.")
	}
	if !mine {
		return fault.New(fault.Conflict, "The workspace has a sandbox already.").On("workspace")
	}
	return nil
}

// attach makes the home if the workspace has none, brings it to its size, and attaches it to a loop device.
func (h homes) attach(ctx context.Context, workspace string, size int64) (*loop, error) {
	size = wholeBlocks(size)
	image := h.image(workspace)
	info, err := os.Stat(image)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = h.templates.copyTo(ctx, image, size, true)
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

// detach unmounts the home and waits until its loop device is free. It succeeds when nothing is mounted.
func (h homes) detach(ctx context.Context, workspace, at string, number *int) error {
	return unmountImage(ctx, h.image(workspace), at, number)
}

// remove deletes the home. It succeeds when there is none.
func (h homes) remove(workspace string) error {
	owner := h.owner(workspace)
	taken, err := owner.held()
	if err != nil {
		return err
	}
	if taken {
		return fault.New(fault.Conflict, "The workspace still has a sandbox.").On("workspace")
	}
	for _, name := range []string{h.image(workspace), owner.file} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be deleted.")
		}
	}
	return nil
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
