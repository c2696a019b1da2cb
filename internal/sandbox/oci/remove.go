package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Stop implements sandbox.Driver.
func (d *Driver) Stop(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := d.load(id)
	if err != nil {
		return err
	}
	b := d.bundle(id)
	if !r.Stopped && r.Process.alive() {
		r.Stopped = true
		if err := b.save(r); err != nil {
			return fault.Wrap(err, fault.Unavailable, "The sandbox's state cannot be written. Check the server's disk.")
		}
	}
	if err := d.kill(ctx, r); err != nil {
		return fault.Wrap(err, fault.Timeout, "The sandbox's processes could not be ended.")
	}
	return nil
}

// kill ends the sandbox's own process and everything in its cgroup, and waits until they are gone.
func (d *Driver) kill(ctx context.Context, r record) error {
	if err := r.Process.kill(); err != nil {
		return err
	}
	return d.cgroups.kill(ctx, d.cgroups.pathOf(d.cfg.Installation, r.ID))
}

// Remove implements sandbox.Driver.
func (d *Driver) Remove(ctx context.Context, id string) error {
	if err := validID(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	b := d.bundle(id)
	if _, err := os.Lstat(b.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.destroy(ctx, b); err != nil {
		if fault.KindOf(err) == fault.Internal {
			err = fault.Wrap(err, fault.Unavailable, "The sandbox could not be removed whole. It is tried again.")
		}
		return err
	}
	return nil
}

// destroy frees all that the sandbox holds, in an order that can be repeated after a failure at any point. The caller
// holds the sandbox's lock.
func (d *Driver) destroy(ctx context.Context, b bundle) error {
	begun := time.Now()
	r, err := b.load()
	if fault.Is(err, fault.NotFound) {
		r, err = record{ID: b.id, Isolation: sandbox.GVisor}, nil // nothing of it has been made
	}
	if err != nil {
		return err
	}
	if s := d.takeFirst(b.id); s != nil {
		_ = s.Close() // nobody listens at the other end
	}
	if err := d.kill(ctx, r); err != nil {
		return fmt.Errorf("ending the processes: %w", err)
	}
	runtime := d.runtimeOf(r)
	if runtime.program() != "" { // else what it holds are the leftovers
		if _, err := output(ctx, removeTimeout, runtime.remove(b.id)); err != nil {
			return fmt.Errorf("removing it from the runtime: %w", err)
		}
	}
	for _, name := range runtime.leftovers(b.id) {
		if err := os.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := d.cgroups.remove(ctx, d.cgroups.pathOf(d.cfg.Installation, b.id)); err != nil {
		return fmt.Errorf("removing the cgroup: %w", err)
	}
	if r.Workspace != "" {
		if err := d.detachHome(ctx, b, r); err != nil {
			return fmt.Errorf("detaching the home: %w", err)
		}
	}
	if err := runtime.release(ctx, b, r); err != nil {
		return fmt.Errorf("freeing the disk: %w", err)
	}
	if err := b.clear(); err != nil {
		return err
	}
	d.cfg.Log.Debug("sandbox removed", "sandbox", b.id, "took", time.Since(begun))
	return nil
}

func (d *Driver) detachHome(ctx context.Context, b bundle, r record) error {
	unlock, err := d.workspaces.Lock(ctx, r.Workspace)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.homes.detach(ctx, r.Workspace, b.home(), r.Loop); err != nil {
		return err
	}
	return d.homes.owner(r.Workspace).drop(r.ID)
}

// RemoveHome implements sandbox.Driver.
func (d *Driver) RemoveHome(ctx context.Context, workspace string) error {
	if err := sandbox.ValidateID(workspace); err != nil {
		return fault.New(fault.Invalid, "A workspace's id must be a UUID in its 36-character form.").On("workspace")
	}
	ctx, cancel := context.WithTimeout(ctx, shortTimeout)
	defer cancel()
	unlock, err := d.workspaces.Lock(ctx, workspace)
	if err != nil {
		return err
	}
	defer unlock()
	return d.homes.remove(workspace)
}

// pause waits a little, and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
