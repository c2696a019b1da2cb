package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	loopControl  = "/dev/loop-control"
	loopMajor    = 7
	loopAttempts = 32 // somebody else may take the free device that the kernel named
)

// loop is an open loop device that a file is attached to. The kernel detaches the file when the last user is gone: this
// descriptor, or the mount that is made meanwhile.
type loop struct {
	*os.File
	number int
}

// attachLoop attaches a file to a loop device. A device that has the file already is used again, because two devices over
// one file would be two file systems that know nothing of each other.
func attachLoop(image string) (*loop, error) {
	if l := reuseLoop(image); l != nil {
		return l, nil
	}
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range loopAttempts {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("asking for a free loop device: %w", err)
		}
		device, err := openLoop(number)
		if err != nil {
			return nil, err
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd())}
		// Direct, so that a home's pages are cached once and charged to its sandbox.
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
		copy(config.Info.File_name[:len(config.Info.File_name)-1], image)
		err = unix.IoctlLoopConfigure(int(device.Fd()), &config)
		if err == nil {
			return &loop{File: device, number: number}, nil
		}
		_ = device.Close() // nothing was done with it
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("attaching to loop device %d: %w", number, err)
		}
	}
	return nil, errors.New("no free loop device")
}

func openLoop(number int) (*os.File, error) {
	name := "/dev/loop" + strconv.Itoa(number)
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) { // no udev, as in a container
		if err := unix.Mknod(name, unix.S_IFBLK|0o600, int(unix.Mkdev(loopMajor, uint32(number)))); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("making %s: %w", name, err)
		}
		file, err = os.OpenFile(name, os.O_RDWR, 0)
	}
	return file, err
}

// reuseLoop returns the loop device that has the file, or nil.
func reuseLoop(image string) *loop {
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil
	}
	for _, name := range names {
		number, err := strconv.Atoi(strings.TrimPrefix(strings.Split(name, "/")[3], "loop"))
		if err != nil || !loopHas(number, image) {
			continue
		}
		file, err := openLoop(number)
		if err != nil {
			return nil
		}
		if loopHas(number, image) { // still, now that the descriptor keeps it
			return &loop{File: file, number: number}
		}
		_ = file.Close() // it was being detached
	}
	return nil
}

// loopHas reports whether the file is attached to the loop device.
func loopHas(number int, image string) bool {
	backing, err := os.ReadFile("/sys/block/loop" + strconv.Itoa(number) + "/loop/backing_file")
	return err == nil && strings.TrimSuffix(string(backing), "\n") == image
}
