// Package sandbox says what a sandbox is and what every driver that makes them must do. It knows no runtime; the drivers
// below it do. It must never weaken a spec that it was given: a driver that cannot honour one refuses it.
package sandbox

import (
	"context"
	"io"
	"time"
)

// Isolation is the boundary between a sandbox and the host.
type Isolation string

// The isolations that drivers offer.
const (
	GVisor Isolation = "gvisor" // runsc: a kernel of its own in user space
	Runc   Isolation = "runc"   // the host's kernel, namespaces, seccomp and cgroups
)

// Limits bound one sandbox. Every field must be set.
type Limits struct {
	CPUs        float64 // of processor time, 1.0 is one core
	MemoryBytes int64   // anonymous, page cache and tmpfs together
	Processes   int     // processes and threads of the user
	DiskBytes   int64   // everything written outside /home/user
	HomeBytes   int64   // everything in /home/user
}

// Spec is what a sandbox is made from.
type Spec struct {
	ID        string // the session's id: a UUID in its 36-character form; runtimes that match ids by prefix depend on the fixed length
	Workspace string // the workspace's UUID; names the home that outlives the session
	Isolation Isolation
	Limits    Limits
}

// State is where a sandbox is in its life.
type State string

// The states that List reports.
const (
	Running State = "running"
	Dead    State = "dead" // its PID 1 is gone; only Remove makes sense
)

// Instance is one sandbox of this installation, as the driver finds it.
type Instance struct {
	ID        string
	Workspace string
	State     State
	Created   time.Time
}

// Usage is what a sandbox uses at one moment.
type Usage struct {
	CPU         time.Duration // processor time since the start
	MemoryBytes int64         // without page cache that can be dropped
	PeakBytes   int64         // highest so far, page cache included; 0 when the driver cannot tell
	MemoryKills int           // how many processes the memory limit has killed so far
	Processes   int           // 0 when the driver cannot tell
	DiskBytes   int64         // written outside /home/user; 0 when the driver cannot tell
}

// Exit says how a sandbox ended.
type Exit struct {
	OutOfMemory bool   // the memory limit killed it
	Detail      string // one sentence for the owner, without host paths
}

// Capabilities are what a driver can do beyond the core, and what it runs on.
type Capabilities struct {
	Isolations []Isolation
	Runtime    string // for logs and doctor: name and version
	DiskQuota  bool
	Suspend    bool
}

// Driver makes and ends sandboxes of one installation. All methods may be called concurrently and honour the context.
// Errors are faults: Invalid for a spec that cannot be honoured, NotFound for an unknown id, Unavailable when the runtime
// does not work, with a sentence that says what to do.
type Driver interface {
	Capabilities() Capabilities
	// Create makes the sandbox and starts its agent. After an error nothing is left behind.
	Create(ctx context.Context, spec Spec) error
	// Dial opens a byte stream to the sandbox's agent. The first one after Create is the agent's own stdio; later ones
	// are bridges to its socket. Concurrent streams are independent.
	Dial(ctx context.Context, id string) (io.ReadWriteCloser, error)
	// Wait blocks until the sandbox is dead and says how it ended. It works for adopted sandboxes too.
	Wait(ctx context.Context, id string) (Exit, error)
	// Stop kills every process of the sandbox. It succeeds when the sandbox is dead already.
	Stop(ctx context.Context, id string) error
	// Remove stops the sandbox and frees all that it holds but the home. It succeeds when nothing is left.
	Remove(ctx context.Context, id string) error
	// RemoveHome deletes the home of a workspace; no sandbox of it may exist.
	RemoveHome(ctx context.Context, workspace string) error
	// List returns the sandboxes of this installation, and no others.
	List(ctx context.Context) ([]Instance, error)
	Usage(ctx context.Context, id string) (Usage, error)
}

// Finding is one thing that a driver checked about the machine, for `vivarium doctor` and the start of the server.
type Finding struct {
	Name   string // what was checked, in a few words
	OK     bool
	Detail string // what was found
	Remedy string // what to do, when not OK
}
