package files

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// maxRemoveDepth bounds the handles that are open at once while caches are removed.
const maxRemoveDepth = 256

// removeFolder removes a folder that is empty but for caches: their names are in ignore, the server does not know them,
// and any tool can make them again.
func removeFolder(ctx context.Context, dir int, name string, ignore []string) error {
	err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	fd, err := openFolder(dir, name)
	if err != nil {
		return err
	}
	inner := os.NewFile(uintptr(fd), name)
	defer inner.Close()
	names, err := inner.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, one := range names {
		if !hidden(one, ignore) {
			return agentproto.Refuse(agentproto.Conflict, "the folder is not empty")
		}
	}
	for _, one := range names {
		if err := removeAll(ctx, fd, one, 0); err != nil {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

// removeAll removes a name with all that is below it, without following a link.
func removeAll(ctx context.Context, dir int, name string, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := unix.Unlinkat(dir, name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return err
	}
	if depth == maxRemoveDepth {
		return unix.ENAMETOOLONG
	}
	fd, err := openFolder(dir, name)
	if err != nil {
		return err
	}
	inner := os.NewFile(uintptr(fd), name)
	defer inner.Close()
	names, err := inner.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, one := range names {
		if err := removeAll(ctx, fd, one, depth+1); err != nil {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
