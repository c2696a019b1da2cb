package agentclient

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// hearing collects what a watch says.
type hearing struct {
	mu    sync.Mutex
	all   int
	paths map[string]int
	calls int
}

func (h *hearing) changed(paths []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	if paths == nil {
		h.all++
	}
	for _, p := range paths {
		h.paths[p]++
	}
}

func (h *hearing) heard(path string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.paths[path] > 0
}

func (h *hearing) begun() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all > 0
}

func watch(t *testing.T, c *Client) *hearing {
	t.Helper()
	h := &hearing{paths: map[string]int{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Watch(ctx, h.changed) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !fault.Is(err, fault.Unavailable) {
			t.Errorf("the watch ended with %v", err)
		}
	})
	eventually(t, "the watch begins", h.begun)
	return h
}

// inside runs a script in the sandbox: changes from outside are not seen by every kernel.
func inside(t *testing.T, c *Client, script string) {
	t.Helper()
	s := run(t, c, "script", "sh", "-c", script)
	s.toEnd()
	if s.exit.Code != 0 {
		t.Fatalf("%s: %+v, %s", script, s.exit, s.text.String())
	}
	if err := c.CloseTerminal(t.Context(), "script"); err != nil {
		t.Fatal(err)
	}
}

func TestAWatchTellsOfEveryKindOfChange(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("old/inner/file", "x")
	b.write("gone", "x")
	h := watch(t, c)
	for _, row := range []struct{ name, script, path string }{
		{"a new file", "echo x > new", "new"},
		{"a change", "echo y >> old/inner/file", "old/inner/file"},
		{"a removal", "rm gone", "gone"},
		{"a mode", "chmod +x new", "new"},
		{"a new folder", "mkdir -p a", "a"},
		{"a file in a new folder", "echo x > a/f", "a/f"},
		{"a folder that is moved, at its old place", "mv old moved", "old"},
		{"a folder that is moved, at its new place", "true", "moved"},
		{"a file in a folder that was moved", "echo z > moved/inner/late", "moved/inner/late"},
		{"a link", "ln -s x l", "l"},
	} {
		inside(t, c, row.script)
		eventually(t, row.name, func() bool { return h.heard(row.path) })
	}
	inside(t, c, "mkdir -p deep/1/2/3 && echo x > deep/1/2/3/f")
	eventually(t, "a tree that is made at once", func() bool { return h.heard("deep") })
	inside(t, c, "echo y > deep/1/2/3/f")
	eventually(t, "a file in it", func() bool { return h.heard("deep/1/2/3/f") })
}

func TestAWatchDoesNotTellOfCachesAndTemporaryFiles(t *testing.T) {
	b := newBox(t)
	c := b.client()
	h := watch(t, c)
	inside(t, c, "mkdir __pycache__ && echo x > __pycache__/m.pyc && mkdir -p p/.venv && echo x > p/.venv/f")
	if err := c.Put(b.ctx(), "saved", []byte("x"), false, workspace.Expect{}); err != nil {
		t.Fatal(err)
	}
	inside(t, c, "echo x > last")
	eventually(t, "the last change", func() bool { return h.heard("last") && h.heard("saved") })
	h.mu.Lock()
	defer h.mu.Unlock()
	for p := range h.paths {
		if !slices.Contains([]string{"p", "saved", "last"}, p) {
			t.Errorf("told of %q", p)
		}
	}
}

func TestP3_AFloodOfChangesIsBoundedAndLosesNothing(t *testing.T) {
	b := newBox(t)
	c := b.client()
	h := watch(t, c)
	inside(t, c, "i=0; while [ $i -lt 5000 ]; do : > f$i; i=$((i+1)); done; echo x > last")
	eventually(t, "the last change, or that anything may have changed", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.paths["last"] > 0 || h.all > 1
	})
	h.mu.Lock()
	calls := h.calls
	h.mu.Unlock()
	if calls > 1000 {
		t.Errorf("want batches, got %d calls for 5,000 files", calls)
	}
	if found := scan(t, c); len(found) != 5001 {
		t.Errorf("got %d", len(found))
	}
}

func TestAWatchEndsWithItsConnectionAndBeginsAgain(t *testing.T) {
	b := newBox(t)
	c := b.client()
	for range 6 { // more than an agent keeps
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := c.Watch(ctx, func([]string) { cancel() })
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	b.stdio.Close()
	<-c.Done()
	if err := c.Watch(b.ctx(), func([]string) {}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want Unavailable, got %v", err)
	}
	again := b.bridge()
	h := watch(t, again)
	inside(t, again, "echo x > f")
	eventually(t, "a change over the second connection", func() bool { return h.heard("f") })
}

func TestAnOddNameIsToldAsTheFolderThatHasIt(t *testing.T) {
	b := newBox(t)
	c := b.client()
	if err := os.Mkdir(b.path("dir"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.path("dir"), 0o777); err != nil {
		t.Fatal(err)
	}
	h := watch(t, c)
	inside(t, c, `echo x > "dir/$(printf 'bad\377')"; echo x > "dir/$(printf 'esc\033')"`)
	eventually(t, "the folder", func() bool { return h.heard("dir") })
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.paths) != 1 {
		t.Errorf("told of %v", h.paths)
	}
}
