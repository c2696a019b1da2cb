// Package docker is the driver that makes sandboxes as containers of a Docker daemon, on this machine or on another. It
// works with every Docker Engine API from 1.41 on and refuses Podman's, which takes a runtime's name and runs another.
//
// A sandbox outlives the server that made it: the daemon's containers and volumes, found by their labels, are all that is
// known of it, and the driver keeps no file. The agent is part of the image, because a daemon may have no access to the
// server's files. The package must never use the daemon's archive endpoints (docker cp) on a container: they open paths
// that a sandbox controls, as root, outside of it.
//
// What Docker cannot do is said, never hidden:
//   - Where the daemon has no quotas for volumes, a home has no bound, and the driver works only if Config.HomeUnbounded
//     accepts that.
//   - Everything else that can be written is in memory and bounded twice: by the sizes of its file systems, which together
//     are Limits.DiskBytes or half of the memory limit, whichever is less, and by the memory limit itself. So a sandbox's disk
//     may be smaller than its limit, and never larger; how much of it is used cannot be told.
//   - gVisor does not count the files in memory: very many empty ones meet the memory limit, which ends the sandbox.
//   - There is no Suspend: Docker's checkpoints cannot be started again.
package docker

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// Config is what a Driver works with.
type Config struct {
	Host         string // in the form of DOCKER_HOST; empty for what the environment says, and else this machine's daemon
	Installation string // names this installation's sandboxes on the daemon; a UUID
	Image        string // what sandboxes are made from; Import makes it and returns its name
	// HomeUnbounded offers homes also where the daemon cannot bound a volume. A user can then fill the daemon's disk.
	HomeUnbounded bool
	Log           *slog.Logger
}

// Bounds of the work with the daemon. They end calls that hang; a healthy daemon needs a fraction of a second.
const (
	createTimeout = 30 * time.Second
	removeTimeout = 20 * time.Second
	stopTimeout   = 10 * time.Second
	shortTimeout  = 8 * time.Second // for one question
)

// The labels of containers and volumes.
const (
	installationLabel = "vivarium.installation"
	workspaceLabel    = "vivarium.workspace"
	sandboxLabel      = "vivarium.sandbox"
	isolationLabel    = "vivarium.isolation"
)

// Driver makes sandboxes of Docker's containers. It implements sandbox.Driver.
type Driver struct {
	cfg    Config
	engine *client.Client
	found  daemon

	sandboxes  sandbox.Locks // one Create, Stop or Remove per sandbox at a time
	workspaces sandbox.Locks // one change of a home at a time

	mu    sync.Mutex
	known map[string]*knowledge
}

// knowledge is what this server knows of a sandbox beyond what the daemon says. It may be lost.
type knowledge struct {
	first    *stream // the agent's stdio, until it is dialled
	dialled  map[*stream]bool
	listens  bool  // the agent's socket has been reached
	stopped  bool  // by us
	peak     int64 // bytes; the highest use of memory seen
	kills    int   // by the memory limit
	lastKill int64 // when the last of them was, in nanoseconds of the daemon's clock
}

var _ sandbox.Driver = (*Driver)(nil)

var installationPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// New returns a Driver for the installation, which finds the sandboxes that an earlier one left. The error says what is
// missing and how to mend it.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	engine, err := connect(cfg.Host)
	if err != nil {
		return nil, err
	}
	findings, found := inspect(ctx, engine, cfg)
	for _, f := range findings {
		if !f.OK {
			_ = engine.Close() // only idle connections
			return nil, fault.New(fault.Unavailable, "Sandboxes cannot run on Docker: %s: %s. %s", f.Name, f.Detail, f.Remedy)
		}
	}
	if !found.quota {
		cfg.Log.Warn("Docker cannot bound the homes of workspaces here; the configuration allows that")
	}
	return &Driver{cfg: cfg, engine: engine, found: found, known: map[string]*knowledge{}}, nil
}

func (c Config) validate() error {
	switch {
	case !installationPattern.MatchString(c.Installation):
		return fault.New(fault.Invalid, "The installation's id must consist of lower-case letters, digits and hyphens.")
	case c.Log == nil:
		return fault.New(fault.Invalid, "The driver needs a log.")
	case c.Image == "":
		return fault.New(fault.Invalid, "The driver needs the name of the sandboxes' image.")
	}
	return nil
}

// Close ends all streams and frees the connections to the daemon. Sandboxes go on.
func (d *Driver) Close() error {
	d.mu.Lock()
	var ids []string
	for id := range d.known {
		ids = append(ids, id)
	}
	d.mu.Unlock()
	for _, id := range ids {
		d.forget(id)
	}
	return d.engine.Close()
}

// Capabilities implements sandbox.Driver. The disk is bounded, but what it holds cannot be told from other memory, so that
// no quota is promised.
func (d *Driver) Capabilities() sandbox.Capabilities {
	return sandbox.Capabilities{Isolations: slices.Clone(d.found.isolations), Runtime: d.found.version}
}

// List implements sandbox.Driver.
func (d *Driver) List(ctx context.Context) ([]sandbox.Instance, error) {
	list, err := d.containers(ctx, installationLabel+"="+d.cfg.Installation)
	if err != nil {
		return nil, err
	}
	var out []sandbox.Instance
	for _, c := range list {
		id := c.Labels[sandboxLabel]
		if sandbox.ValidateID(id) != nil || !slices.Contains(c.Names, "/"+containerName(id)) {
			continue // carries our label, but is not what we make
		}
		state := sandbox.Dead
		if running(c.State) {
			state = sandbox.Running
		}
		out = append(out, sandbox.Instance{ID: id, Workspace: c.Labels[workspaceLabel], State: state, Created: time.Unix(c.Created, 0)})
	}
	slices.SortFunc(out, func(a, b sandbox.Instance) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// containers returns the containers in all states that have the labels, each "name=value".
func (d *Driver) containers(ctx context.Context, labels ...string) ([]container.Summary, error) {
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ContainerListResult, error) {
		return d.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", labels...)})
	})
	return result.Items, err
}

// running reports whether a container in the state has processes.
func running(state container.ContainerState) bool {
	return state == container.StateRunning || state == container.StatePaused || state == container.StateRestarting
}

func containerName(id string) string { return "vivarium-" + id }

// find returns the sandbox's container: Invalid for a wrong id, and NotFound where this installation has none.
func (d *Driver) find(ctx context.Context, id string) (container.InspectResponse, error) {
	if err := sandbox.ValidateID(id); err != nil {
		return container.InspectResponse{}, err
	}
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ContainerInspectResult, error) {
		return d.engine.ContainerInspect(ctx, containerName(id), client.ContainerInspectOptions{})
	})
	c := result.Container
	if fault.Is(err, fault.NotFound) || err == nil && (c.Config == nil || c.Config.Labels[installationLabel] != d.cfg.Installation) {
		return container.InspectResponse{}, fault.Wrap(err, fault.NotFound, "No such sandbox.")
	}
	if err == nil && (c.State == nil || c.HostConfig == nil) {
		err = fault.New(fault.Unavailable, "Docker describes the sandbox incompletely.")
	}
	return c, err
}

// knowing gives f what is known of the sandbox, under the driver's lock.
func (d *Driver) knowing(id string, f func(*knowledge)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.known[id]
	if k == nil {
		k = &knowledge{}
		d.known[id] = k
	}
	f(k)
}

// takeFirst returns the stdio of the sandbox's agent to the first caller.
func (d *Driver) takeFirst(id string) (first *stream) {
	d.knowing(id, func(k *knowledge) { first, k.first = k.first, nil })
	return first
}

// keep makes the stream end with the sandbox: the daemon now and then forgets one whose container it removes.
func (d *Driver) keep(id string, s *stream) *stream {
	s.closed = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if k := d.known[id]; k != nil {
			delete(k.dialled, s)
		}
	}
	d.knowing(id, func(k *knowledge) {
		if k.dialled == nil {
			k.dialled = map[*stream]bool{}
		}
		k.dialled[s] = true
	})
	return s
}

// forget ends the streams to a sandbox and drops what is known of it.
func (d *Driver) forget(id string) {
	d.mu.Lock()
	k := d.known[id]
	delete(d.known, id)
	d.mu.Unlock()
	if k == nil {
		return
	}
	if k.first != nil {
		_ = k.first.Close() // nobody listens at the other end
	}
	for s := range k.dialled {
		_ = s.Close() // the same
	}
}
