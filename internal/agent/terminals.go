package agent

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"syscall"

	"vivarium/internal/agentproto"
	"vivarium/internal/terminal"
)

// terminals are those of one sandbox. They outlive every connection.
type terminals struct {
	opts     Options
	children *children

	mu   sync.Mutex
	byID map[string]*pty // nil while one is being opened, so that its place is taken
}

func newTerminals(opts Options, children *children) *terminals {
	return &terminals{opts: opts, children: children, byID: map[string]*pty{}}
}

var terminalID = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

func (t *terminals) open(o terminal.Options) (terminal.State, error) {
	if o.Size.IsZero() {
		o.Size = terminal.DefaultSize
	}
	o.Size = o.Size.Clamp()
	if o.Dir == "" {
		o.Dir = t.opts.Root
	}
	switch {
	case !terminalID.MatchString(o.ID):
		return terminal.State{}, agentproto.Refuse(agentproto.Invalid, "a terminal's id has 1 to 64 letters, digits and hyphens")
	case o.Kind != terminal.Shell && o.Kind != terminal.Run:
		return terminal.State{}, agentproto.Refuse(agentproto.Invalid, "a terminal is a shell or a run")
	case o.Kind == terminal.Run && len(o.Argv) == 0:
		return terminal.State{}, agentproto.Refuse(agentproto.Invalid, "a run needs a program")
	case !filepath.IsAbs(o.Dir):
		return terminal.State{}, agentproto.Refuse(agentproto.Invalid, "the folder to start in must be an absolute path")
	}
	if err := t.reserve(o.ID); err != nil {
		return terminal.State{}, err
	}
	p, err := startPTY(t.opts, t.children, o)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		delete(t.byID, o.ID)
		return terminal.State{}, err
	}
	t.byID[o.ID] = p
	return p.state(), nil
}

func (t *terminals) reserve(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, taken := t.byID[id]; taken {
		return agentproto.Refuse(agentproto.Conflict, "there is a terminal with this id")
	}
	if len(t.byID) >= agentproto.MaxTerminals {
		return agentproto.Refuse(agentproto.Exhausted, "a sandbox holds %d terminals at most; close one first", agentproto.MaxTerminals)
	}
	t.byID[id] = nil
	return nil
}

func (t *terminals) get(id string) (*pty, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byID[id]; p != nil {
		return p, nil
	}
	return nil, agentproto.Refuse(agentproto.NotFound, "no such terminal")
}

// close forgets a terminal and ends its processes.
func (t *terminals) close(id string) error {
	p, err := t.get(id)
	if err != nil {
		return err
	}
	t.mu.Lock()
	if t.byID[id] != p {
		t.mu.Unlock()
		return agentproto.Refuse(agentproto.NotFound, "no such terminal")
	}
	delete(t.byID, id)
	t.mu.Unlock()
	p.end()
	return nil
}

func (t *terminals) list() []terminal.State {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]terminal.State, 0, len(t.byID))
	for _, p := range t.byID {
		if p != nil {
			list = append(list, p.state())
		}
	}
	slices.SortFunc(list, func(a, b terminal.State) int { return a.Started.Compare(b.Started) })
	return list
}

// startError says why a process could not be started.
func startError(err error) error {
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOSPC):
		return agentproto.Refuse(agentproto.Exhausted, "the sandbox has no room for another process: %v", err)
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EACCES):
		return agentproto.Refuse(agentproto.Invalid, "the program or its folder cannot be used: %v", err)
	}
	return err
}
