package docker

import (
	"context"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Stop implements sandbox.Driver.
func (d *Driver) Stop(ctx context.Context, id string) error {
	if err := sandbox.ValidateID(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := d.find(ctx, id)
	if err != nil || !running(c.State.Status) {
		return err
	}
	d.knowing(id, func(k *knowledge) { k.stopped = true })
	err = do(ctx, shortTimeout, func(ctx context.Context) error {
		_, err := d.engine.ContainerKill(ctx, c.ID, client.ContainerKillOptions{Signal: "SIGKILL"})
		return err
	})
	if err != nil && !errdefs.IsConflict(err) && !errdefs.IsNotFound(err) { // it has just ended, or is gone
		return err
	}
	for running(c.State.Status) {
		d.awaitEnd(ctx, c.ID)
		if c, err = d.find(ctx, id); err != nil {
			if fault.Is(err, fault.NotFound) {
				return nil
			}
			return err
		}
	}
	return nil
}

// Remove implements sandbox.Driver.
func (d *Driver) Remove(ctx context.Context, id string) error {
	if err := sandbox.ValidateID(id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := d.find(ctx, id)
	if fault.Is(err, fault.NotFound) {
		d.forget(id)
		return nil
	}
	if err != nil {
		return err
	}
	d.knowing(id, func(k *knowledge) { k.stopped = true })
	if err := d.destroy(ctx, c.ID); err != nil {
		return err
	}
	d.forget(id)
	return nil
}

// destroy ends and removes a container and waits until it is gone. The home is no part of it.
func (d *Driver) destroy(ctx context.Context, container string) error {
	for {
		err := do(ctx, removeTimeout, func(ctx context.Context) error {
			_, err := d.engine.ContainerRemove(ctx, container, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
			return err
		})
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if !errdefs.IsConflict(err) { // else somebody removes it already
			return err
		}
		if !pause(ctx, 50*time.Millisecond) {
			return fault.Wrap(err, fault.Unavailable, "Docker does not come to an end with removing the sandbox. It is tried again.")
		}
	}
}
