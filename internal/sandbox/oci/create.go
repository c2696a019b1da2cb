package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

func validID(id string) error { return sandbox.ValidateID(id) }

// Create implements sandbox.Driver.
func (d *Driver) Create(ctx context.Context, spec sandbox.Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	if !slices.Contains(d.offered, spec.Isolation) {
		return fault.New(fault.Invalid, "This server does not offer the isolation %q; `vivarium doctor` says what it needs.", spec.Isolation).On("isolation")
	}
	if err := d.cgroups.allows(spec.Limits); err != nil {
		return err
	}
	if err := d.runtimes[spec.Isolation].allows(spec.Limits); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	unlock, err := d.sandboxes.Lock(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer unlock()

	b := d.bundle(spec.ID)
	if err := os.Mkdir(b.dir, 0o700); errors.Is(err, os.ErrExist) {
		return fault.New(fault.Conflict, "A sandbox with this id exists already.").On("id")
	} else if err != nil {
		return fault.Wrap(err, fault.Unavailable, "The sandbox's folder cannot be made. Check the server's disk.")
	}
	if err := d.create(ctx, b, spec); err != nil {
		// What has been made goes also when the caller has given up.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		if undoErr := d.destroy(undo, b); undoErr != nil {
			d.cfg.Log.Error("what a failed start left cannot be removed; it is listed and can be removed later", "sandbox", spec.ID, "err", undoErr)
		}
		return err
	}
	return nil
}

func (d *Driver) create(ctx context.Context, b bundle, spec sandbox.Spec) error {
	begun := time.Now()
	runtime := d.runtimes[spec.Isolation]
	r := record{ID: spec.ID, Workspace: spec.Workspace, Isolation: spec.Isolation, Created: time.Now().UTC(), Limits: spec.Limits}
	if err := b.save(r); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The sandbox's state cannot be written. Check the server's disk.")
	}
	at := layout{rootFS: d.cfg.RootFS, agent: d.cfg.Agent, cgroup: d.cgroups.pathOf(d.cfg.Installation, spec.ID)}
	var err error
	if at.home, err = d.attachHome(ctx, b, &r); err != nil {
		return err
	}
	attached := time.Now()
	done, err := runtime.prepare(ctx, b, &r, &at)
	if err != nil {
		return err
	}
	prepared := time.Now()
	first, err := d.launch(ctx, b, runtime, at, spec.Limits)
	done()
	if err != nil {
		return err
	}
	if err := d.register(ctx, b, &r); err != nil {
		_ = first.Close() // the sandbox goes with the error
		return err
	}
	d.keepFirst(spec.ID, first)
	d.cfg.Log.Debug("sandbox made", "sandbox", spec.ID, "isolation", spec.Isolation, "home", attached.Sub(begun), "disk", prepared.Sub(attached),
		"runtime", time.Since(prepared))
	return nil
}

// attachHome mounts the workspace's home and returns the folder in it that becomes /home/user.
func (d *Driver) attachHome(ctx context.Context, b bundle, r *record) (string, error) {
	unlock, err := d.workspaces.Lock(ctx, r.Workspace)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := os.Mkdir(b.home(), 0o700); err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "The sandbox's folder cannot be made. Check the server's disk.")
	}
	if err := d.homes.claim(r.Workspace, r.ID); err != nil {
		return "", err
	}
	loop, err := d.homes.attach(ctx, r.Workspace, r.Limits.HomeBytes)
	if err != nil {
		return "", err
	}
	number := loop.number
	r.Loop = &number
	if err := b.save(*r); err != nil {
		_ = loop.Close() // frees the device, because nothing has mounted it
		return "", err
	}
	return d.homes.mount(ctx, r.Workspace, loop, b.home())
}

// launch starts the sandbox and returns its agent's stdio.
func (d *Driver) launch(ctx context.Context, b bundle, runtime ociRuntime, at layout, l sandbox.Limits) (*stream, error) {
	spec, err := runtime.spec(at, l)
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(b.config(), config, 0o600); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The sandbox's configuration cannot be written. Check the server's disk.")
	}
	s, stdin, stdout, err := pipes()
	if err != nil {
		return nil, err
	}
	argv := runtime.run(b, l)
	cmd := exec.Command(argv[0], argv[1:]...)
	// Standard error is nobody's: a file would let the sandbox fill the disk, and a pipe would kill an agent that writes to
	// it after the server is gone.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, nil
	run, err := start(cmd)
	if err == nil {
		err = run.wait(ctx)
	}
	err = errors.Join(err, stdin.Close(), stdout.Close())
	if err != nil {
		_ = s.Close() // the error that matters is the first
		if ctx.Err() != nil {
			return nil, fault.Wrap(err, fault.Timeout, "The sandbox took too long to start.")
		}
		return nil, fault.Wrap(fmt.Errorf("%w: %s", err, readLog(b.runtimeLog())), fault.Unavailable,
			"The sandbox could not be started. The server's log says why, and so may `vivarium doctor`.")
	}
	return s, nil
}

// register notes the sandbox's process, by which it is found again, when the agent runs.
func (d *Driver) register(ctx context.Context, b bundle, r *record) error {
	data, err := os.ReadFile(b.pidFile())
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return err
	}
	r.Process, err = identify(pid)
	if err == nil {
		err = d.runtimeOf(*r).settle(ctx, r.Process)
	}
	if errors.Is(err, errGone) {
		return fault.New(fault.Unavailable, "The sandbox ended while it was starting: its agent does not run.")
	}
	if err != nil {
		return err
	}
	return b.save(*r)
}
