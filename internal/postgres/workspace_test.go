package postgres_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/workspace"
)

func TestAWorkspaceIsMadeWithItsFirstItems(t *testing.T) {
	b := newBench(t)
	change, blob := save("src/main.py", "print()", 0)
	made, err := b.db.CreateWorkspace(t.Context(), b.owner.ID, "with files", []workspace.Change{change}, []workspace.Blob{blob}, limits)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.db.Workspace(t.Context(), made.ID); err != nil || got != made || got.OwnerID != b.owner.ID || got.Name != "with files" {
		t.Errorf("want %+v, got %+v (%v)", made, got, err)
	}
	b.ws = made.ID // verified at the end
	if got, want := b.paths(), []string{"src", "src/main.py"}; !slices.Equal(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestNobodyGetsMoreWorkspacesThanTheLimit(t *testing.T) {
	db := postgrestest.New(t)
	owner := newUser(t, db)
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			_, err := db.CreateWorkspace(t.Context(), owner.ID, fmt.Sprint(i), nil, nil, limits)
			switch {
			case err == nil:
				made.Add(1)
			case fault.Is(err, fault.Exhausted):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != int32(limits.Workspaces) || refused.Load() != 12-int32(limits.Workspaces) {
		t.Errorf("want %d made, got %d and %d refused", limits.Workspaces, made.Load(), refused.Load())
	}
	_, err := db.CreateWorkspace(t.Context(), uuid.New(), "of nobody", nil, nil, limits)
	wantKind(t, err, fault.NotFound)
}

func TestAnOwnersWorkspacesComeInPagesTheLastChangedFirst(t *testing.T) {
	db := postgrestest.New(t)
	owner, stranger := newUser(t, db), newUser(t, db)
	many := limits
	many.Workspaces = 100
	var want []string
	var first workspace.Workspace
	for i := range 7 {
		ws, err := db.CreateWorkspace(t.Context(), owner.ID, fmt.Sprint("ws", i), nil, nil, many)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = ws
		}
		want = append(want, ws.Name)
	}
	if _, err := db.CreateWorkspace(t.Context(), stranger.ID, "foreign", nil, nil, many); err != nil {
		t.Fatal(err)
	}
	if _, err := db.RenameWorkspace(t.Context(), first.ID, "renamed", owner.ID); err != nil {
		t.Fatal(err)
	}
	want = append(want[1:], "renamed")
	slices.Reverse(want)
	for _, size := range []int{1, 3, 7, 200} {
		var got []string
		after := ""
		for {
			list, next, err := db.Workspaces(t.Context(), workspace.ListQuery{Owner: owner.ID, After: after, Limit: size})
			if err != nil {
				t.Fatal(err)
			}
			for _, ws := range list {
				got = append(got, ws.Name)
			}
			if next == "" {
				break
			}
			if len(list) != size {
				t.Fatalf("want a full page of %d, got %d", size, len(list))
			}
			after = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: want %q, got %q", size, want, got)
		}
	}
}

func TestABadCursorIsInvalid(t *testing.T) {
	db := postgrestest.New(t)
	for _, cursor := range []string{"x", "!!!!", base64.RawURLEncoding.EncodeToString(make([]byte, 23)),
		base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{0x80}, 24)), base64.RawURLEncoding.EncodeToString(slices.Repeat([]byte{0x7f}, 24))} {
		_, _, err := db.Workspaces(t.Context(), workspace.ListQuery{Owner: uuid.New(), After: cursor, Limit: 10})
		wantKind(t, err, fault.Invalid)
	}
	for _, limit := range []int{0, -1, 201} {
		_, _, err := db.Workspaces(t.Context(), workspace.ListQuery{Owner: uuid.New(), Limit: limit})
		wantKind(t, err, fault.Invalid)
	}
}

func TestADeletedWorkspaceIsReallyGone(t *testing.T) {
	b := newBench(t)
	b.mustSave("dir/file", "x")
	one := b.start(uuid.New())
	base := []workspace.BaseChange{{BaseItem: workspace.BaseItem{Path: "dir", Kind: workspace.Folder}}}
	if err := b.db.SetBase(t.Context(), one.ID, base); err != nil {
		t.Fatal(err)
	}
	if err := b.db.DeleteWorkspace(t.Context(), b.ws, b.owner.ID); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"workspaces", "workspace_items", "item_versions", "sessions", "replica_items"} {
		if n := value[int](t, b.url, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("want nothing left in %s, got %d rows", table, n)
		}
	}
	_, err := b.db.Workspace(t.Context(), b.ws)
	wantKind(t, err, fault.NotFound)
	wantKind(t, b.db.DeleteWorkspace(t.Context(), b.ws, b.owner.ID), fault.NotFound)
	_, err = b.db.RenameWorkspace(t.Context(), b.ws, "x", b.owner.ID)
	wantKind(t, err, fault.NotFound)
}

func TestContentThatAVersionNeedsCannotBeDeleted(t *testing.T) {
	b := newBench(t)
	b.mustSave("a", "one")
	b.must(b.remove("a"))
	if _, err := connect(t, b.url).Exec(t.Context(), "DELETE FROM blobs"); err == nil {
		t.Error("want it refused: the history needs the content")
	}
}
