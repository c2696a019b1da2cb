package cluster

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
)

// lockFile takes the lock on a file, which it makes, and waits while another process has it. The kernel frees it when its
// holder dies.
func lockFile(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The folder of the private database cannot be written to: %s.", reason(err))
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing frees the lock
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		if !pause(ctx, 20*time.Millisecond) {
			return nil, fault.Wrap(errors.Join(ctx.Err(), f.Close()), fault.Timeout, "Another process is starting the private database and does not finish.")
		}
	}
}
