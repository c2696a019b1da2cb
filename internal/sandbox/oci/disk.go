package oci

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// disks makes the disks of runc's sandboxes: one sparse file each that holds an ext4 of exactly the allowed size, with the
// folders that a user may write to outside the home. A disk goes with its sandbox.
type disks struct{ templates templates }

// diskFolders are the folders of a disk, and where a sandbox has them. The numbers are those of the image.
var diskFolders = []struct {
	name, destination string
	owner             int
	mode              fs.FileMode
}{
	{"workspace", "/workspace", sandboxUser, 0o755},
	{"tmp", "/tmp", 0, 0o777 | fs.ModeSticky},
	{"var-tmp", "/var/tmp", 0, 0o777 | fs.ModeSticky},
}

// diskVersion changes with diskFolders.
const diskVersion = "1"

func newDisks(dir string) disks {
	return disks{templates{dir: dir, version: diskVersion, content: filepath.Join(dir, "content-"+diskVersion),
		// Nothing of a disk outlives a crash of the machine, so that a journal would only cost time and space.
		flags: []string{"-O", "^has_journal", "-E", "lazy_itable_init=1,nodiscard"}}}
}

// makeContent makes the folder that templates are made from.
func (d disks) makeContent() error {
	for _, f := range diskFolders {
		name := filepath.Join(d.templates.content, f.name)
		if err := errors.Join(os.MkdirAll(name, 0o700), os.Chown(name, f.owner, f.owner), os.Chmod(name, f.mode)); err != nil {
			return err
		}
	}
	return nil
}

// attach makes a disk and attaches it to a loop device.
func (d disks) attach(ctx context.Context, image string, size int64) (*loop, error) {
	if err := d.templates.copyTo(ctx, image, wholeBlocks(size), false); err != nil {
		return nil, err
	}
	return attachLoop(image)
}
