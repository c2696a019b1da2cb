package oci

import (
	"context"

	"vivarium/internal/sandbox"
)

// Usage implements sandbox.Driver.
func (d *Driver) Usage(_ context.Context, id string) (sandbox.Usage, error) {
	r, err := d.load(id)
	if err != nil {
		return sandbox.Usage{}, err
	}
	cgroup := d.cgroups.pathOf(d.cfg.Installation, id)
	u := d.cgroups.usage(cgroup)
	if r.Process.alive() {
		d.runtimeOf(r).usage(&u, d.bundle(id), r, d.cgroups, cgroup)
	}
	return u, nil
}
