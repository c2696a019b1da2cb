// Package oci is the driver that makes sandboxes with an OCI runtime executed directly, without a daemon. It runs gVisor's
// runsc; what only runsc knows is in gvisor.go.
//
// A sandbox outlives the server that made it: everything needed to find it again is a file below Config.Dir, named by
// its id, and a cgroup that carries the installation's id. The package must never open a path that a sandbox can change:
// it mounts and unmounts homes, and looks at nothing inside them.
package oci

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Config is what a Driver works with. Every field must be set.
type Config struct {
	Dir          string // state, disks and homes of all sandboxes; on a real file system, readable by root alone
	Installation string // names this installation's sandboxes on the machine; a UUID
	Runsc        string // path of gVisor's runsc
	RootFS       string // folder made by scripts/build-rootfs.sh; shared by all sandboxes, never written
	Agent        string // path of the vivarium-agent binary
	Log          *slog.Logger
}

// Bounds of the work with a runtime. They end calls that hang; a healthy machine needs a fraction of a second.
const (
	createTimeout = 30 * time.Second
	removeTimeout = 20 * time.Second
	stopTimeout   = 10 * time.Second
	shortTimeout  = 5 * time.Second // for a question to a runtime or a tool
)

// Driver makes gVisor sandboxes. It implements sandbox.Driver.
type Driver struct {
	cfg     Config
	runtime gvisor
	version string
	cgroups cgroups
	homes   homes

	sandboxes  keyed // one Create, Stop or Remove per sandbox at a time
	workspaces keyed // one change of a home at a time

	mu    sync.Mutex
	first map[string]*stream // the agents' stdio, until it is dialled
}

var _ sandbox.Driver = (*Driver)(nil)

var installationPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// New returns a Driver for the installation, which finds the sandboxes that an earlier one left. The error says what is
// missing on this machine and how to mend it.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.Dir, cfg.sandboxesDir(), cfg.homesDir(), cfg.runtimeDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "The folder for sandboxes cannot be made. Check its parent's rights and free space.")
		}
	}
	findings, found := inspect(ctx, cfg)
	for _, f := range findings {
		if !f.OK {
			return nil, fault.New(fault.Unavailable, "Sandboxes cannot run on this machine: %s: %s. %s", f.Name, f.Detail, f.Remedy)
		}
	}
	return &Driver{
		cfg:     cfg,
		runtime: found.runtime,
		version: found.version,
		cgroups: found.cgroups,
		homes:   homes{dir: cfg.homesDir(), skeleton: filepath.Join(cfg.RootFS, "home"), layout: found.image},
		first:   map[string]*stream{},
	}, nil
}

// resolve makes the paths absolute, because runtimes are started in another folder and do not follow a link as root.
func (c Config) resolve() (Config, error) {
	if !installationPattern.MatchString(c.Installation) {
		return c, fault.New(fault.Invalid, "The installation's id must consist of lower-case letters, digits and hyphens.")
	}
	if c.Log == nil {
		return c, fault.New(fault.Invalid, "The driver needs a log.")
	}
	for _, p := range []*string{&c.Dir, &c.Runsc, &c.RootFS, &c.Agent} {
		if *p == "" {
			return c, fault.New(fault.Invalid, "The driver needs the folder for sandboxes and the paths of runsc, the root file system and the agent.")
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return c, err
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil { // one that is missing is reported by the checks
			abs = real
		}
		*p = abs
	}
	return c, nil
}

func (c Config) sandboxesDir() string { return filepath.Join(c.Dir, "sandboxes") }
func (c Config) homesDir() string     { return filepath.Join(c.Dir, "homes") }
func (c Config) runtimeDir() string   { return filepath.Join(c.Dir, "runsc") }

// Capabilities implements sandbox.Driver.
func (d *Driver) Capabilities() sandbox.Capabilities {
	return sandbox.Capabilities{
		Isolations: []sandbox.Isolation{sandbox.GVisor},
		Runtime:    d.version,
		DiskQuota:  true,
	}
}

// List implements sandbox.Driver.
func (d *Driver) List(context.Context) ([]sandbox.Instance, error) {
	records, err := d.records()
	if err != nil {
		return nil, err
	}
	var out []sandbox.Instance
	for _, r := range records {
		state := sandbox.Dead
		if r.Process.alive() {
			state = sandbox.Running
		}
		out = append(out, sandbox.Instance{ID: r.ID, Workspace: r.Workspace, State: state, Created: r.Created})
	}
	return out, nil
}

// takeFirst returns the stdio of the sandbox's agent to the first caller.
func (d *Driver) takeFirst(id string) *stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.first[id]
	delete(d.first, id)
	return s
}

func (d *Driver) keepFirst(id string, s *stream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.first[id] = s
}
