package oci

import (
	"context"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vivarium/internal/sandbox"
)

// ociRuntime is what differs between the runtimes: their commands, the configuration that they get, and what a sandbox's
// disk and users are made of. What has been made of a sandbox is in its record, so that a later server can free it.
type ociRuntime interface {
	// program is the path of the runtime, empty where this server has none; sandboxes that another made are freed all the same.
	program() string
	// allows refuses limits that the runtime cannot hold a sandbox to.
	allows(l sandbox.Limits) error
	// prepare makes what a sandbox needs besides its home, and completes the layout. The caller calls done when the
	// sandbox runs or has failed to.
	prepare(ctx context.Context, b bundle, r *record, at *layout) (done func(), err error)
	// spec is the runtime's configuration for a sandbox.
	spec(at layout, l sandbox.Limits) (*specs.Spec, error)
	// run makes and starts a sandbox in one call and leaves it alone. The process's stdio becomes the agent's.
	run(b bundle, l sandbox.Limits) []string
	// settle waits until the process that run has started is the agent. The error is errGone when it has ended before.
	settle(ctx context.Context, p process) error
	// connect runs the agent's bridge in a sandbox on the calling process's stdio.
	connect(b bundle) []string
	// remove ends a sandbox and frees what the runtime holds of it. It succeeds when there is none.
	remove(id string) []string
	// leftovers are files and folders that a runtime killed at work leaves and its remove does not know.
	leftovers(id string) []string
	// release frees what prepare has made. It can be repeated after a failure at any point.
	release(ctx context.Context, b bundle, r record) error
	// usage adds what only the runtime knows of a sandbox that runs.
	usage(u *sandbox.Usage, b bundle, r record, c cgroups, cgroup string)
	versionArgs() []string
	// parseVersion returns the runtime's name and version from what it prints, and refuses one that is not fit for use.
	parseVersion(out string) (string, error)
}

// layout is where the parts of one sandbox are on the machine.
type layout struct {
	rootFS string
	agent  string
	home   string
	cgroup string
	disk   string // folder with diskFolders; runc
	userNS string // of the sandbox's users; runc
}
