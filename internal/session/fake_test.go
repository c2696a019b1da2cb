package session_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// box is a sandbox in memory: its files are a map, and it has no processes. It behaves as the agent's side of a replica
// must, and can fail on purpose.
type box struct {
	mu       sync.Mutex
	spec     sandbox.Spec
	files    map[string]boxItem
	watchers map[chan []string]struct{}
	closed   string        // no writes below this folder
	fails    int           // so many of the next calls fail
	dead     chan struct{} // closed when the sandbox is gone
	links    []*link
	terms    []terminal.State

	usage       sandbox.Usage
	overwritten [][]byte // contents of files that the sync replaced or removed
}

type boxItem struct {
	kind       workspace.Kind
	executable bool
	content    []byte
	target     string
	problem    string
}

func (i boxItem) entry(p string) workspace.Entry {
	e := workspace.Entry{Path: p, Kind: i.kind, Executable: i.executable, Size: int64(len(i.content)), Target: i.target, Problem: i.problem}
	if i.kind == workspace.File {
		e.Sum = workspace.SumOf(i.content)
	}
	return e
}

// change edits the files as a program in the sandbox does, and hints at the paths.
func (b *box) change(edit func(files map[string]boxItem), paths ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	edit(b.files)
	for w := range b.watchers {
		select {
		case w <- paths:
		default:
		}
	}
}

func (b *box) write(p, content string) {
	b.change(func(files map[string]boxItem) {
		removeFrom(files, p)
		putInto(files, p, boxItem{kind: workspace.File, content: []byte(content)})
	}, p)
}

func (b *box) remove(p string) {
	b.change(func(files map[string]boxItem) { removeFrom(files, p) }, p)
}

func (b *box) read(p string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := b.files[p]
	return string(i.content), ok
}

func putInto(files map[string]boxItem, p string, i boxItem) {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		if _, ok := files[up]; !ok {
			files[up] = boxItem{kind: workspace.Folder}
		}
	}
	files[p] = i
}

func removeFrom(files map[string]boxItem, p string) {
	for other := range files {
		if other == p || strings.HasPrefix(other, p+"/") {
			delete(files, other)
		}
	}
}

// link is one connection to a box's agent.
type link struct {
	box  *box
	once sync.Once
	done chan struct{}
}

func (l *link) Read([]byte) (int, error)    { <-l.done; return 0, io.EOF }
func (l *link) Write(p []byte) (int, error) { return len(p), nil }
func (l *link) Done() <-chan struct{}       { return l.done }
func (l *link) Close() error                { l.once.Do(func() { close(l.done) }); return nil }

// begin is the start of every call: it fails when the connection is lost or a failure was ordered.
func (l *link) begin() error {
	select {
	case <-l.done:
		return fault.New(fault.Unavailable, "connection lost")
	default:
	}
	if l.box.fails > 0 {
		l.box.fails--
		return fault.New(fault.Timeout, "ordered to fail")
	}
	return nil
}

func (l *link) call(f func() error) error {
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	if err := l.begin(); err != nil {
		return err
	}
	return f()
}

func (l *link) Scan(_ context.Context, paths []string) (out []workspace.Entry, err error) {
	err = l.call(func() error {
		for p, i := range l.box.files {
			if workspace.Ignored(p) {
				continue
			}
			if paths == nil || slices.ContainsFunc(paths, func(q string) bool { return p == q || strings.HasPrefix(p, q+"/") }) {
				out = append(out, i.entry(p))
			}
		}
		return nil
	})
	return out, err
}

func (l *link) Read1(p string) (boxItem, error) {
	i, ok := l.box.files[p]
	if !ok {
		return i, fault.New(fault.NotFound, "nothing there")
	}
	return i, nil
}

func (l *link) meets(p string, e workspace.Expect) error {
	i, there := l.box.files[p]
	now := i.entry(p)
	want := workspace.Expect{Kind: now.Kind, Sum: now.Sum, Executable: now.Executable, Target: now.Target}
	if !there {
		want = workspace.Expect{}
	}
	if !e.Any && e != want {
		return fault.New(fault.Conflict, "the sandbox has something else there")
	}
	return l.box.foldersAbove(p)
}

func (b *box) foldersAbove(p string) error {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		if above, ok := b.files[up]; ok && above.kind != workspace.Folder {
			return fault.New(fault.Conflict, "not a folder above")
		}
	}
	return nil
}

func (l *link) put(p string, i boxItem, e workspace.Expect) error {
	return l.call(func() error {
		if err := l.meets(p, e); err != nil {
			return err
		}
		if l.box.closed != "" && strings.HasPrefix(p, l.box.closed+"/") {
			return fault.New(fault.Forbidden, "Permission denied.")
		}
		l.box.overwrite(p)
		putInto(l.box.files, p, i)
		return nil
	})
}

func (b *box) overwrite(p string) {
	if i, ok := b.files[p]; ok && i.kind == workspace.File {
		b.overwritten = append(b.overwritten, i.content)
	}
}

func (l *link) Put(_ context.Context, p string, content []byte, executable bool, e workspace.Expect) error {
	return l.put(p, boxItem{kind: workspace.File, content: bytes.Clone(content), executable: executable}, e)
}

func (l *link) MakeLink(_ context.Context, p, target string, e workspace.Expect) error {
	return l.put(p, boxItem{kind: workspace.Link, target: target}, e)
}

func (l *link) MakeFolder(_ context.Context, p string) error {
	return l.call(func() error {
		if i, ok := l.box.files[p]; ok && i.kind != workspace.Folder {
			return fault.New(fault.Conflict, "not a folder")
		}
		if err := l.box.foldersAbove(p); err != nil {
			return err
		}
		putInto(l.box.files, p, boxItem{kind: workspace.Folder})
		return nil
	})
}

func (l *link) Remove(_ context.Context, p string, e workspace.Expect) error {
	return l.call(func() error {
		if err := l.meets(p, e); err != nil {
			return err
		}
		for other := range l.box.files {
			if strings.HasPrefix(other, p+"/") && !workspace.Ignored(other) {
				return fault.New(fault.Conflict, "not empty")
			}
		}
		l.box.overwrite(p)
		removeFrom(l.box.files, p)
		return nil
	})
}

func (l *link) Load(_ context.Context, next func() (workspace.Entry, io.Reader, error)) error {
	for {
		e, r, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i := boxItem{kind: e.Kind, executable: e.Executable, target: e.Target}
		if r != nil {
			if i.content, err = io.ReadAll(r); err != nil {
				return err
			}
		}
		if err := l.call(func() error { putInto(l.box.files, e.Path, i); return nil }); err != nil {
			return err
		}
	}
}

func (l *link) Watch(ctx context.Context, changed func([]string)) error {
	c := make(chan []string, 64)
	l.box.mu.Lock()
	l.box.watchers[c] = struct{}{}
	l.box.mu.Unlock()
	defer func() {
		l.box.mu.Lock()
		delete(l.box.watchers, c)
		l.box.mu.Unlock()
	}()
	changed(nil)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.done:
			return fault.New(fault.Unavailable, "connection lost")
		case paths := <-c:
			changed(paths)
		}
	}
}

func (l *link) OpenTerminal(_ context.Context, o terminal.Options) (t terminal.State, err error) {
	err = l.call(func() error {
		t = terminal.State{ID: o.ID, Kind: o.Kind, Title: o.Title, Size: o.Size, Started: time.Now()}
		l.box.terms = append(l.box.terms, t)
		return nil
	})
	return t, err
}

func (l *link) Terminals(context.Context) (out []terminal.State, err error) {
	err = l.call(func() error { out = slices.Clone(l.box.terms); return nil })
	return out, err
}

func (l *link) CloseTerminal(_ context.Context, id string) error {
	return l.call(func() error {
		l.box.terms = slices.DeleteFunc(l.box.terms, func(t terminal.State) bool { return t.ID == id })
		return nil
	})
}

func (l *link) Attach(context.Context, string, terminal.AttachOptions) (terminal.Attachment, error) {
	return nil, fault.New(fault.Unavailable, "a box has no processes")
}

// agentLink gives link the method Read of an Agent, whose name its Read of a stream has.
type agentLink struct{ *link }

func (a agentLink) Read(_ context.Context, p string, limit int64) (content []byte, err error) {
	err = a.call(func() error {
		i, err := a.Read1(p)
		if err != nil {
			return err
		}
		if int64(len(i.content)) > limit {
			return fault.New(fault.TooLarge, "larger than allowed")
		}
		content = bytes.Clone(i.content)
		return nil
	})
	return content, err
}

func connectBox(_ context.Context, stream io.ReadWriteCloser) (session.Agent, error) {
	return agentLink{stream.(*link)}, nil
}

// yard is a driver whose sandboxes are boxes.
type yard struct {
	mu      sync.Mutex
	boxes   map[string]*box
	removed map[string]*box
	refuses error

	claimFails bool
}

func newYard() *yard { return &yard{boxes: map[string]*box{}, removed: map[string]*box{}} }

func (y *yard) box(id string) *box {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.boxes[id]
}

func (y *yard) Capabilities() sandbox.Capabilities { return sandbox.Capabilities{Runtime: "memory"} }

func (y *yard) Create(_ context.Context, spec sandbox.Spec) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.refuses != nil {
		return y.refuses
	}
	y.boxes[spec.ID] = &box{spec: spec, files: map[string]boxItem{}, watchers: map[chan []string]struct{}{}, dead: make(chan struct{})}
	return nil
}

func (y *yard) CreateWarm(ctx context.Context, spec sandbox.Spec) error { return y.Create(ctx, spec) }

func (y *yard) Claim(_ context.Context, id, workspace string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	b := y.boxes[id]
	switch {
	case b == nil:
		return fault.New(fault.NotFound, "no such sandbox")
	case b.spec.Workspace != "":
		return fault.New(fault.Conflict, "claimed already")
	case y.claimFails:
		return fault.New(fault.Unavailable, "ordered to fail")
	}
	b.spec.Workspace = workspace
	return nil
}

func (y *yard) Dial(_ context.Context, id string) (io.ReadWriteCloser, error) {
	b := y.box(id)
	if b == nil {
		return nil, fault.New(fault.NotFound, "no such sandbox")
	}
	l := &link{box: b, done: make(chan struct{})}
	b.mu.Lock()
	b.links = append(b.links, l)
	b.mu.Unlock()
	return l, nil
}

// cut loses every connection to the sandbox.
func (b *box) cut() {
	b.mu.Lock()
	links := b.links
	b.links = nil
	b.mu.Unlock()
	for _, l := range links {
		_ = l.Close() // never fails
	}
}

func (y *yard) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	y.mu.Lock()
	b := y.boxes[id]
	if b == nil {
		b = y.removed[id]
	}
	y.mu.Unlock()
	if b == nil {
		return sandbox.Exit{}, fault.New(fault.NotFound, "no such sandbox")
	}
	select {
	case <-b.dead:
		return sandbox.Exit{Detail: "It was removed."}, nil
	case <-ctx.Done():
		return sandbox.Exit{}, ctx.Err()
	}
}

func (y *yard) Stop(ctx context.Context, id string) error { return y.Remove(ctx, id) }

func (y *yard) Remove(_ context.Context, id string) error {
	y.mu.Lock()
	b := y.boxes[id]
	delete(y.boxes, id)
	if b != nil {
		y.removed[id] = b
	}
	y.mu.Unlock()
	if b != nil {
		close(b.dead)
		b.cut()
	}
	return nil
}

func (y *yard) RemoveHome(context.Context, string) error { return nil }

func (y *yard) List(context.Context) ([]sandbox.Instance, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	var out []sandbox.Instance
	for id, b := range y.boxes {
		out = append(out, sandbox.Instance{ID: id, Workspace: b.spec.Workspace, State: sandbox.Running})
	}
	return out, nil
}

func (y *yard) Usage(_ context.Context, id string) (sandbox.Usage, error) {
	b := y.box(id)
	if b == nil {
		return sandbox.Usage{}, fault.New(fault.NotFound, "no such sandbox")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.usage, nil
}
