package docker

import (
	"context"
	"strconv"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// A workspace's home is a volume of the daemon's local driver. Where that driver has project quotas (its folder is on XFS,
// or ext4, mounted with them), the volume's size is a bound that the kernel keeps. The driver can neither change the size
// of a volume nor make one from a file that it would mount, so that elsewhere there is no bound to be had.
const (
	localDriver = "local"
	sizeOption  = "size"
)

func volumeName(workspace string) string { return "vivarium-home-" + workspace }

// home makes the workspace's home if it has none, which it notes, and returns where it is mounted. The caller holds the
// workspace's lock.
func (d *Driver) home(ctx context.Context, workspace string, size int64, made *leftovers) (mount.Mount, error) {
	v, err := d.volume(ctx, workspace)
	if fault.Is(err, fault.NotFound) {
		made.home = true
		v, err = d.makeVolume(ctx, workspace, size)
	}
	if err == nil {
		err = d.accept(v, size)
	}
	// The daemon fills an empty volume with the image's folder, which is the home of a new workspace.
	return mount.Mount{Type: mount.TypeVolume, Source: volumeName(workspace), Target: homePath}, err
}

// volume returns the workspace's home. NotFound says that there is none; another installation's is a Conflict.
func (d *Driver) volume(ctx context.Context, workspace string) (volume.Volume, error) {
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.VolumeInspectResult, error) {
		return d.engine.VolumeInspect(ctx, volumeName(workspace), client.VolumeInspectOptions{})
	})
	if err == nil && result.Volume.Labels[installationLabel] != d.cfg.Installation {
		return volume.Volume{}, fault.New(fault.Conflict, "The workspace's home belongs to another installation on the same Docker daemon.").On("workspace")
	}
	return result.Volume, err
}

func (d *Driver) makeVolume(ctx context.Context, workspace string, size int64) (volume.Volume, error) {
	options := client.VolumeCreateOptions{
		Name:   volumeName(workspace),
		Driver: localDriver,
		Labels: map[string]string{installationLabel: d.cfg.Installation, workspaceLabel: workspace},
	}
	if d.found.quota {
		options.DriverOpts = map[string]string{sizeOption: strconv.FormatInt(size, 10)}
	}
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.VolumeCreateResult, error) {
		return d.engine.VolumeCreate(ctx, options)
	})
	if err != nil {
		return volume.Volume{}, fault.Wrap(err, fault.Unavailable, "The workspace's home cannot be made. %s", fault.MessageOf(err))
	}
	return result.Volume, nil
}

// accept refuses a home that the wanted size would not bound. A smaller one does no harm.
func (d *Driver) accept(v volume.Volume, size int64) error {
	bound, err := strconv.ParseInt(v.Options[sizeOption], 10, 64)
	switch {
	case v.Driver != localDriver:
		return fault.New(fault.Conflict, "The workspace's home is not a local volume.").On("workspace")
	case err != nil || bound <= 0:
		if !d.cfg.HomeUnbounded {
			return fault.New(fault.Invalid, "The workspace's home was made without a bound, which this server does not allow. Delete the home, or allow it in the configuration.").On("limits.homeBytes")
		}
	case bound > size:
		return fault.New(fault.Invalid, "The workspace's home was made for %s, and Docker cannot make it smaller. Raise the limit, or delete the home.", mebibytes(bound)).On("limits.homeBytes")
	}
	return nil
}

// removeVolume deletes the home. It succeeds when there is none.
func (d *Driver) removeVolume(ctx context.Context, workspace string) error {
	err := do(ctx, shortTimeout, func(ctx context.Context) error {
		_, err := d.engine.VolumeRemove(ctx, volumeName(workspace), client.VolumeRemoveOptions{})
		return err
	})
	switch fault.KindOf(err) {
	case fault.NotFound:
		return nil
	case fault.Conflict:
		return fault.Wrap(err, fault.Conflict, "The workspace still has a sandbox.").On("workspace")
	}
	return err
}

// RemoveHome implements sandbox.Driver.
func (d *Driver) RemoveHome(ctx context.Context, workspace string) error {
	if err := sandbox.ValidateID(workspace); err != nil {
		return fault.New(fault.Invalid, "A workspace's id must be a UUID in its 36-character form.").On("workspace")
	}
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	unlock, err := d.workspaces.Lock(ctx, workspace)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := d.volume(ctx, workspace); fault.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	return d.removeVolume(ctx, workspace)
}
