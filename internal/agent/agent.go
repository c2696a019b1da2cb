// Package agent is the sandbox side of Vivarium: PID 1 of every sandbox, which holds the terminals, tends the files and
// answers the server. It knows no server, only streams. It must never end because a stream was lost, never block on what
// a user's process does, and never read or write a file with its own rights: it is uid 0, with SETUID, SETGID and KILL and
// nothing more, so that its user can neither trace nor kill it. Files are the work of a second process with the user's own
// rights (package files).
package agent

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// Options say how an agent works. Start from Defaults.
type Options struct {
	Version   string
	Root      string // the workspace's folder
	Home      string // of the user
	User      string // name of the user
	UID, GID  int    // of the user; ignored when the agent is not uid 0 itself
	Processes int    // most processes and threads of the user; 0 when something else limits them
	Socket    string // abstract address for bridges
	Self      string // path of the agent's own program
	Log       *slog.Logger
}

// Defaults are the options of a sandbox.
func Defaults() Options {
	return Options{Version: "dev", Root: "/workspace", Home: "/home/user", User: "user", UID: 1000, GID: 1000,
		Socket: agentproto.Socket, Self: "/proc/self/exe", Log: slog.New(slog.DiscardHandler)}
}

// Agent holds the terminals of a sandbox and serves any number of streams.
type Agent struct {
	opts      Options
	hello     agentproto.Hello
	children  *children
	terminals *terminals
	files     *worker
}

// New prepares an agent. Its goroutines and processes live until the sandbox ends.
func New(opts Options) (*Agent, error) {
	if !filepath.IsAbs(opts.Root) || !filepath.IsAbs(opts.Home) {
		return nil, errors.New("the root and the home must be absolute paths")
	}
	if opts.Processes > 0 {
		// The user's processes inherit it. Only the user's are counted: a limit on processes is per uid.
		limit := unix.Rlimit{Cur: uint64(opts.Processes), Max: uint64(opts.Processes)}
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
			return nil, err
		}
	}
	kernel, err := os.ReadFile("/proc/version")
	if err != nil {
		return nil, err
	}
	a := &Agent{opts: opts, children: newChildren()}
	a.hello = agentproto.Hello{Version: opts.Version, Protocol: agentproto.Version, Kernel: string(kernel), Boot: rand.Text()}
	a.terminals = newTerminals(opts, a.children)
	if a.files, err = startWorker(opts, a.children); err != nil {
		return nil, err
	}
	return a, nil
}
