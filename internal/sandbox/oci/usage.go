package oci

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"

	"vivarium/internal/sandbox"
)

// Usage implements sandbox.Driver. The number of processes is left out: the cgroup counts the threads of gVisor's kernel.
func (d *Driver) Usage(_ context.Context, id string) (sandbox.Usage, error) {
	r, err := d.load(id)
	if err != nil {
		return sandbox.Usage{}, err
	}
	u := d.cgroups.usage(d.cgroups.pathOf(d.cfg.Installation, id))
	if r.Process.alive() {
		u.DiskBytes = diskUsage(r.Process.PID)
	}
	return u, nil
}

// diskUsage returns how many bytes a sandbox's unlinked disk takes on the machine. Only descriptors of the sandbox's
// process name that file; nothing is opened.
func diskUsage(pid int) int64 {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		target, err := os.Readlink(dir + e.Name())
		if err != nil || !strings.Contains(target, "/runsc-filestore-") {
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Stat(dir+e.Name(), &st); err != nil {
			return 0
		}
		return st.Blocks * 512
	}
	return 0
}
