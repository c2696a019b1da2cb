// Package oci is the driver that makes sandboxes with an OCI runtime executed directly, without a daemon: gVisor's runsc, or
// runc. What only one of them knows is in gvisor.go and runc.go.
//
// A sandbox outlives the server that made it: everything needed to find it again is a file below Config.Dir, named by
// its id, and a cgroup that carries the installation's id. The package must never open a path that a sandbox can change:
// it mounts and unmounts homes and disks, and looks at nothing inside them.
package oci

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Config is what a Driver works with. Every field must be set, but one runtime's path may be empty: its isolation is not
// offered then.
type Config struct {
	Dir          string // state, disks and homes of all sandboxes; on a real file system, readable by root alone
	Installation string // names this installation's sandboxes on the machine; a UUID
	Runsc        string // path of gVisor's runsc
	Runc         string // path of runc
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

// rootMounts is where the root file systems of runc's sandboxes are mounted for the moment of their start. It is outside
// Config.Dir because everybody may pass through it.
const rootMounts = "/run/vivarium"

// Driver makes sandboxes. It implements sandbox.Driver.
type Driver struct {
	cfg      Config
	runtimes map[sandbox.Isolation]ociRuntime // all: those that are not offered may have sandboxes of an earlier server
	offered  []sandbox.Isolation
	versions []string
	cgroups  cgroups
	homes    homes

	sandboxes  sandbox.Locks // one Create, Stop or Remove per sandbox at a time
	workspaces sandbox.Locks // one change of a home at a time

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
	for _, dir := range []string{cfg.Dir, cfg.sandboxesDir(), cfg.homesDir(), cfg.runscDir(), cfg.runcDir(), cfg.disksDir(), cfg.usersDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "The folder for sandboxes cannot be made. Check its parent's rights and free space.")
		}
	}
	if err := newDisks(cfg.disksDir()).makeContent(); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The folder for sandboxes cannot be made. Check its parent's rights and free space.")
	}
	found := inspect(ctx, cfg)
	for _, f := range found.findings {
		if !f.OK {
			return nil, unfit(f)
		}
	}
	for _, f := range found.runtimes {
		if f.OK {
			continue
		}
		if len(found.offered) == 0 {
			return nil, unfit(f)
		}
		cfg.Log.Warn("an isolation is not offered", "check", f.Name, "found", f.Detail, "remedy", f.Remedy)
	}
	if slices.Contains(found.offered, sandbox.Runc) {
		if err := makeWay(cfg.rootsDir()); err != nil {
			return nil, fault.Wrap(err, fault.Unavailable, "The folder %s cannot be made. Check its parent's rights.", rootMounts)
		}
	}
	return &Driver{
		cfg:      cfg,
		runtimes: cfg.runtimes(),
		offered:  found.offered,
		versions: found.versions,
		cgroups:  found.cgroups,
		homes:    newHomes(cfg.homesDir(), cfg.sandboxesDir(), filepath.Join(cfg.RootFS, "home"), found.image),
		first:    map[string]*stream{},
	}, nil
}

func unfit(f sandbox.Finding) error {
	return fault.New(fault.Unavailable, "Sandboxes cannot run on this machine: %s: %s. %s", f.Name, f.Detail, f.Remedy)
}

// runtimes are all that the driver knows.
func (c Config) runtimes() map[sandbox.Isolation]ociRuntime {
	return map[sandbox.Isolation]ociRuntime{
		sandbox.GVisor: gvisor{path: c.Runsc, root: c.runscDir()},
		sandbox.Runc: runc{path: c.Runc, root: c.runcDir(), mounts: c.rootsDir(), disks: newDisks(c.disksDir()),
			users: userRanges{dir: c.usersDir(), sandboxes: c.sandboxesDir()}},
	}
}

// runtimeOf is the runtime of a sandbox that exists.
func (d *Driver) runtimeOf(r record) ociRuntime { return d.runtimes[r.Isolation] }

// resolve makes the paths absolute, because runtimes are started in another folder and do not follow a link as root.
func (c Config) resolve() (Config, error) {
	if !installationPattern.MatchString(c.Installation) {
		return c, fault.New(fault.Invalid, "The installation's id must consist of lower-case letters, digits and hyphens.")
	}
	if c.Log == nil {
		return c, fault.New(fault.Invalid, "The driver needs a log.")
	}
	if c.Dir == "" || c.RootFS == "" || c.Agent == "" || c.Runsc == "" && c.Runc == "" {
		return c, fault.New(fault.Invalid,
			"The driver needs the folder for sandboxes and the paths of a runtime, the root file system and the agent.")
	}
	for _, p := range []*string{&c.Dir, &c.Runsc, &c.Runc, &c.RootFS, &c.Agent} {
		if *p == "" {
			continue
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
func (c Config) runscDir() string     { return filepath.Join(c.Dir, "runsc") }
func (c Config) runcDir() string      { return filepath.Join(c.Dir, "runc") }
func (c Config) disksDir() string     { return filepath.Join(c.Dir, "disks") }
func (c Config) usersDir() string     { return filepath.Join(c.Dir, "users") }
func (c Config) rootsDir() string     { return filepath.Join(rootMounts, c.Installation) }

// Capabilities implements sandbox.Driver.
func (d *Driver) Capabilities() sandbox.Capabilities {
	return sandbox.Capabilities{
		Isolations: slices.Clone(d.offered),
		Runtime:    strings.Join(d.versions, ", "),
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
