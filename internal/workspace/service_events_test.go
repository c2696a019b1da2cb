package workspace_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

func next(t *testing.T, events <-chan workspace.Event) workspace.Event {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
		return workspace.Event{}
	}
}

func TestWhoWatchesHearsOfEachChange(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	ctx := t.Context()
	events, stop := b.Watch(ws)
	defer stop()

	item := b.write(t, ws, "a", "1")
	if e := next(t, events); e.Applied.Item == nil || *e.Applied.Item != item || e.By.UserID != b.owner.UserID {
		t.Errorf("after a save: got %+v", e)
	}
	if _, err := b.Move(ctx, b.owner, ws, "a", "b"); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Applied.Moved == nil || *e.Applied.Moved != (workspace.Moved{From: "a", To: "b"}) {
		t.Errorf("after a move: got %+v", e)
	}
	if err := b.Remove(ctx, b.owner, ws, "b", workspace.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Applied.Removed != "b" {
		t.Errorf("after a removal: got %+v", e)
	}
	if err := b.Remove(ctx, b.owner, ws, "b", workspace.AnyVersion); !fault.Is(err, fault.NotFound) {
		t.Fatalf("want NotFound, got %v", err)
	}
	if _, err := b.Rename(ctx, b.owner, ws, "Other"); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Workspace == nil || e.Workspace.Name != "Other" {
		t.Errorf("after a rename: got %+v", e)
	}
	session := workspace.Author{UserID: b.owner.UserID, SessionID: uuid.New()}
	if _, err := b.ApplySynced(ctx, ws, session, []workspace.SyncedChange{{Content: []byte("x"),
		Change: workspace.Change{Path: "out.txt", Kind: workspace.File}}}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Applied.Item == nil || e.Applied.Item.Path != "out.txt" || e.By != session {
		t.Errorf("after a sync: got %+v", e)
	}
	if err := b.Delete(ctx, b.owner, ws); err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); !e.Gone {
		t.Errorf("after the end: got %+v", e)
	}
	if _, err := b.Get(ctx, b.owner, ws); !fault.Is(err, fault.NotFound) {
		t.Errorf("want NotFound after the end, got %v", err)
	}
}

func TestF8_EventsComeInTheOrderOfTheCommits(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	events, stop := b.Watch(ws)
	defer stop()
	const writers, saves = 8, 20
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() {
			for save := range saves {
				b.write(t, ws, fmt.Sprint("file", n), fmt.Sprint(save))
			}
		})
	}
	wg.Wait()
	var last int64
	for range writers * saves {
		e := next(t, events)
		if e.Applied.Item == nil || e.Applied.Item.Version <= last {
			t.Fatalf("want an item after version %d, got %+v", last, e)
		}
		last = e.Applied.Item.Version
	}
}

// A file is a register that is compared and set: each version that was acknowledged follows exactly one other.
func TestF8_OfSavesOnOneVersionOneIsAcknowledged(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	first := b.write(t, ws, "shared", "0")
	var mu sync.Mutex
	follows := map[int64]int64{} // version → the one it was based on
	contents := map[int64]string{first.Version: "0"}
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for save := range 15 {
				base, read, err := b.Read(t.Context(), b.owner, ws, "shared")
				if err != nil {
					t.Error(err)
					return
				}
				content := fmt.Sprintf("%d.%d", n, save)
				item, err := b.Write(t.Context(), b.owner, ws, "shared", []byte(content), workspace.WriteOptions{IfVersion: base.Version})
				mu.Lock()
				if known, ok := contents[base.Version]; ok && known != string(read) {
					t.Errorf("version %d is %q and was read as %q", base.Version, known, read)
				}
				if err == nil {
					if _, twice := follows[item.Version]; twice {
						t.Errorf("version %d was given twice", item.Version)
					}
					follows[item.Version], contents[item.Version] = base.Version, content
				} else if !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	last, err := b.Stat(t.Context(), b.owner, ws, "shared")
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	for v := last.Version; v != first.Version; v = follows[v] {
		if _, known := follows[v]; !known {
			t.Fatalf("version %d follows none", v)
		}
		steps++
	}
	if steps != len(follows) || steps == 0 {
		t.Fatalf("want one chain of the %d acknowledged saves, got %d", len(follows), steps)
	}
}

func TestASyncIsAppliedWholeOrNotAtAll(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	ctx := t.Context()
	by := workspace.Author{UserID: b.owner.UserID, SessionID: uuid.New()}
	file := func(path, content string, ifVersion int64) workspace.SyncedChange {
		return workspace.SyncedChange{Content: []byte(content), Change: workspace.Change{Path: path, Kind: workspace.File, IfVersion: ifVersion}}
	}
	if _, err := b.ApplySynced(ctx, ws, by, []workspace.SyncedChange{file("a", "same", 0), file("b", "same", 0), file("dir/c", "other", 0),
		{Change: workspace.Change{Path: "link", Kind: workspace.Link, Target: "dir/c", Executable: true}},
		{Change: workspace.Change{Path: "empty", Kind: workspace.Folder, Executable: true}},
	}); err != nil {
		t.Fatal(err)
	}
	before, err := b.StoredAt(ctx, ws, nil)
	if err != nil || fmt.Sprint(paths(before)) != "[a b dir dir/c empty link]" {
		t.Fatalf("got %v, %v", paths(before), err)
	}
	for name, last := range map[string]workspace.SyncedChange{
		"a stale change":      file("b", "new", 999),
		"an invalid path":     file("../b", "new", 0),
		"a cache":             file("__pycache__/m.pyc", "new", 0),
		"a link to nowhere":   {Change: workspace.Change{Path: "l", Kind: workspace.Link}},
		"an unknown kind":     {Change: workspace.Change{Path: "l", Kind: "fifo"}},
		"a file below a file": file("a/b", "new", 0),
	} {
		if _, err := b.ApplySynced(ctx, ws, by, []workspace.SyncedChange{file("new", "x", 0), last}); err == nil {
			t.Errorf("%s is let through", name)
		}
	}
	after, err := b.StoredAt(ctx, ws, nil)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("something was applied: %v, %v", paths(after), err)
	}
	below, err := b.StoredAt(ctx, ws, []string{"dir", "none"})
	if err != nil || fmt.Sprint(paths(below)) != "[dir dir/c]" {
		t.Errorf("got %v, %v", paths(below), err)
	}
	if none, err := b.StoredAt(ctx, ws, []string{}); err != nil || len(none) != 0 {
		t.Errorf("at no paths: got %v, %v", none, err)
	}
	content, err := b.Content(ctx, ws, below[1].Hash)
	if err != nil || string(content) != "other" {
		t.Errorf("got %q, %v", content, err)
	}
}
