package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// ext4Block is the size of a block in the images that the driver makes, in bytes.
const ext4Block = 4096

// wholeBlocks returns the size of an image for a limit.
func wholeBlocks(size int64) int64 { return size / ext4Block * ext4Block }

// mountExt4 mounts a file system that a sandbox writes to.
func mountExt4(device, at string) error {
	// Inode tables that nobody uses stay unwritten, and what is deleted is given back to the machine's disk.
	err := unix.Mount(device, at, "ext4", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOATIME, "noinit_itable,discard,errors=remount-ro")
	if err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// unmountImage unmounts an image and waits until its loop device is free, when that is known. It succeeds when nothing is
// mounted.
func unmountImage(ctx context.Context, image, at string, number *int) error {
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
	// next sandbox with the image uses the device again.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for loopHas(*number, image) && pause(ctx, 2*time.Millisecond) {
	}
	return nil
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

// copySparse copies the parts of a file that hold data, and makes the copy durable if that is wanted.
func copySparse(from, to string, durable bool) error {
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
	if err == nil && durable {
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
