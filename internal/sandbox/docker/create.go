package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Create implements sandbox.Driver.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if !slices.Contains(d.found.isolations, spec.Isolation) {
		return fault.New(fault.Invalid, "The isolation %q is not offered: Docker has no runtime for it that this server accepts.", spec.Isolation).On("isolation")
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer unlock()
	unlockHome, err := d.workspaces.Lock(ctx, spec.Workspace)
	if err != nil {
		return err
	}
	defer unlockHome()
	return d.create(ctx, spec)
}

// create makes the home and the container and starts it. What a failure has made goes with it. The caller holds the locks
// of the sandbox and of the workspace.
func (d *Driver) create(ctx context.Context, spec sandbox.Spec) (err error) {
	begun := time.Now()
	seccomp, err := seccompProfile()
	if err != nil {
		return err
	}
	var made leftovers
	defer func() {
		if err != nil {
			d.undo(ctx, spec, made)
		}
	}()
	home, err := d.home(ctx, spec.Workspace, spec.Limits.HomeBytes, &made)
	if err != nil {
		return err
	}
	created, err := ask(ctx, createTimeout, func(ctx context.Context) (client.ContainerCreateResult, error) {
		return d.engine.ContainerCreate(ctx, containerSpec(d.cfg, spec, home, seccomp))
	})
	made.container, made.unsure = created.ID, err != nil && !answered(err)
	if err != nil {
		return d.explain(ctx, err, spec)
	}
	if err := d.alone(ctx, spec, created.ID); err != nil {
		return err
	}
	if err := d.honoured(ctx, spec, created.ID, seccomp); err != nil {
		return err
	}
	first, err := d.launch(ctx, created.ID)
	if err != nil {
		return d.explain(ctx, err, spec)
	}
	d.knowing(spec.ID, func(k *knowledge) { *k = knowledge{first: first} })
	d.cfg.Log.Debug("sandbox made", "sandbox", spec.ID, "took", time.Since(begun))
	return nil
}

// alone refuses a second sandbox of the workspace. A server on the same daemon may be making one at this moment: of two
// that see each other both give up, so that never both stay.
func (d *Driver) alone(ctx context.Context, spec sandbox.Spec, container string) error {
	list, err := d.containers(ctx, workspaceLabel+"="+spec.Workspace)
	if err != nil {
		return err
	}
	for _, other := range list {
		if other.ID != container {
			return fault.New(fault.Conflict, "The workspace has a sandbox already.").On("workspace")
		}
	}
	return nil
}

// honoured makes sure that the daemon has taken what keeps a sandbox in, before anything runs: a daemon that does not know
// a setting ignores it.
func (d *Driver) honoured(ctx context.Context, spec sandbox.Spec, container, seccomp string) error {
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ContainerInspectResult, error) {
		return d.engine.ContainerInspect(ctx, container, client.ContainerInspectOptions{})
	})
	if err != nil {
		return d.explain(ctx, err, spec)
	}
	want, got := containerSpec(d.cfg, spec, mount.Mount{}, seccomp).HostConfig, result.Container.HostConfig
	if got == nil {
		return fault.New(fault.Unavailable, "Docker describes the sandbox incompletely.")
	}
	for setting, same := range map[string]bool{
		"runtime":          got.Runtime == want.Runtime,
		"network":          got.NetworkMode == want.NetworkMode,
		"namespaces":       got.IpcMode == want.IpcMode && got.PidMode == "" && got.UTSMode == "",
		"read-only root":   got.ReadonlyRootfs,
		"file systems":     maps.Equal(got.Tmpfs, want.Tmpfs) && len(got.Mounts) == 1 && len(got.Binds) == 0 && got.ShmSize == want.ShmSize,
		"capabilities":     !got.Privileged && alike(got.CapDrop, want.CapDrop) && alike(got.CapAdd, want.CapAdd),
		"security options": alike(got.SecurityOpt, want.SecurityOpt),
		"memory":           got.Memory == want.Memory && got.MemorySwap == want.MemorySwap,
		"processors":       got.CPUQuota == want.CPUQuota && got.CPUPeriod == want.CPUPeriod,
		"processes":        got.PidsLimit != nil && *got.PidsLimit == *want.PidsLimit,
		"masked paths":     alike(got.MaskedPaths, want.MaskedPaths),
		"log":              got.LogConfig.Type == want.LogConfig.Type,
	} {
		if !same {
			return fault.New(fault.Unavailable, "Docker did not take the sandbox's %s as asked for; it was not started.", setting)
		}
	}
	return nil
}

// alike reports whether two lists hold the same, in whatever order.
func alike(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// launch starts the container with the agent's stdio attached.
func (d *Driver) launch(ctx context.Context, container string) (*stream, error) {
	attached, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ContainerAttachResult, error) {
		return d.engine.ContainerAttach(ctx, container, client.ContainerAttachOptions{Stream: true, Stdin: true, Stdout: true})
	})
	if err != nil {
		return nil, err
	}
	first := newStream(attached.HijackedResponse)
	err = do(ctx, createTimeout, func(ctx context.Context) error {
		_, err := d.engine.ContainerStart(ctx, container, client.ContainerStartOptions{})
		return err
	})
	if err != nil {
		_ = first.Close() // the error that matters is the first
		return nil, err
	}
	return first, nil
}

// leftovers are what a start that fails has to remove.
type leftovers struct {
	home      bool   // the workspace had none
	container string // its id; empty when there is none
	unsure    bool   // there may be one: the daemon was asked and did not answer
}

// undo removes what a failed start has made, also when the caller has given up.
func (d *Driver) undo(ctx context.Context, spec sandbox.Spec, made leftovers) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err := func() error {
		if made.unsure {
			c, err := d.find(ctx, spec.ID)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			made.container = c.ID
		}
		if made.container == "" {
			return nil
		}
		return d.destroy(ctx, made.container)
	}()
	if err == nil && made.home {
		err = d.removeVolume(ctx, spec.Workspace)
	}
	if err != nil {
		d.cfg.Log.Error("what a failed start left cannot be removed; it is listed and can be removed later", "sandbox", spec.ID, "err", err)
	}
}

// explain says what a failure to make or start a container means.
func (d *Driver) explain(ctx context.Context, err error, spec sandbox.Spec) error {
	switch {
	case ctx.Err() != nil || fault.Is(err, fault.Timeout):
		return err
	case errdefs.IsConflict(err):
		return fault.Wrap(err, fault.Conflict, "A sandbox with this id exists already, or is being removed.").On("id")
	}
	if what, mend := d.lost(ctx, spec); what != "" {
		return fault.Wrap(err, fault.Unavailable, "%s %s", what, mend)
	}
	if answered(err) {
		return fault.Wrap(err, fault.Unavailable, "The sandbox could not be started. The server's log says why, and so may `vivarium doctor`.")
	}
	return err
}

// lost says what Docker no longer has that it had when the server started, and what to do.
func (d *Driver) lost(ctx context.Context, spec sandbox.Spec) (what, mend string) {
	info, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.SystemInfoResult, error) {
		return d.engine.Info(ctx, client.InfoOptions{})
	})
	if err != nil {
		return "", ""
	}
	if name := runtimes[spec.Isolation]; unusable(info.Info, spec.Isolation) != "" {
		return fmt.Sprintf("Docker no longer has the runtime %q as the server needs it.", name), "Register it again and restart Docker."
	}
	if _, err := imageOf(ctx, d.engine, d.cfg.Image); fault.Is(err, fault.NotFound) {
		return "Docker no longer has the sandboxes' image.", remedyImage
	}
	return "", ""
}

func mebibytes(n int64) string {
	if n%(1<<30) == 0 {
		return fmt.Sprintf("%d GiB", n>>30)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<20)), ".0") + " MiB"
}
