package oci

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vivarium/internal/sandbox"
)

// A sandbox counts as killed by its memory limit when the limit has killed something in it shortly before the end. The
// count alone would blame the limit for an end long after a user's program was killed.
const (
	memoryPoll  = 2 * time.Second
	memoryBlame = 10 * time.Second
)

// Wait implements sandbox.Driver.
func (d *Driver) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	r, err := d.load(id)
	if err != nil {
		return sandbox.Exit{}, err
	}
	cgroup := d.cgroups.pathOf(d.cfg.Installation, id)
	pidfd, err := r.Process.open()
	if errors.Is(err, errGone) {
		return d.exit(id, r, d.cgroups.memoryKills(cgroup) > 0), nil
	}
	if err != nil {
		return sandbox.Exit{}, err
	}
	defer pidfd.Close()
	kills := d.cgroups.memoryKills(cgroup)
	var killed time.Time // when the memory limit was last seen to kill
	look := func() {
		if now := d.cgroups.memoryKills(cgroup); now > kills {
			kills, killed = now, time.Now()
		}
	}
	for {
		ended, err := wait(ctx, pidfd, time.Now().Add(memoryPoll))
		if err != nil {
			return sandbox.Exit{}, err
		}
		look()
		if ended {
			return d.exit(id, r, !killed.IsZero() && time.Since(killed) < memoryBlame), nil
		}
	}
}

// exit says how a sandbox ended that has ended.
func (d *Driver) exit(id string, r record, outOfMemory bool) sandbox.Exit {
	if now, err := d.load(id); err != nil || now.Stopped {
		return sandbox.Exit{Detail: "The sandbox was stopped."} // without a record it was removed meanwhile
	}
	if outOfMemory {
		return sandbox.Exit{OutOfMemory: true,
			Detail: fmt.Sprintf("The sandbox reached its memory limit of %s and was ended.", mebibytes(r.Limits.MemoryBytes))}
	}
	return sandbox.Exit{Detail: "The sandbox ended unexpectedly."}
}

func mebibytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
