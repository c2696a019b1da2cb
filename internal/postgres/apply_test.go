package postgres_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

func TestASaveMakesTheFoldersAboveIt(t *testing.T) {
	b := newBench(t)
	change, blob := save("src/app/main.py", "print(1)", 0)
	change.Executable = true
	applied, err := b.db.Apply(t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, []workspace.Change{change}, []workspace.Blob{blob}, limits)
	if err != nil {
		t.Fatal(err)
	}
	if len(applied) != 3 || applied[0].Item.Path != "src" || applied[1].Item.Path != "src/app" || applied[2].Item.Path != "src/app/main.py" {
		t.Fatalf("want src, src/app and the file, got %+v", applied)
	}
	file := *applied[2].Item
	if file.Version != 3 || !file.Executable || file.Size != 8 || file.Hash != change.Hash || file.Kind != workspace.File || file.WorkspaceID != b.ws {
		t.Errorf("want version 3 of an executable file of 8 bytes, got %+v", file)
	}
	if got, err := b.db.Item(t.Context(), b.ws, "src/app/main.py"); err != nil || got != file {
		t.Errorf("want what was applied, got %+v (%v)", got, err)
	}
	if got, err := b.db.Blob(t.Context(), file.Hash); err != nil || !reflect.DeepEqual(got, blob) {
		t.Errorf("want the blob back, got %+v (%v)", got, err)
	}
	if got, err := b.db.Totals(t.Context(), b.ws); err != nil || got != (workspace.Totals{Items: 3, Bytes: 8}) {
		t.Errorf("want 3 items of 8 bytes, got %+v (%v)", got, err)
	}
	ws, err := b.db.Workspace(t.Context(), b.ws)
	if err != nil || !ws.ChangedAt.Equal(file.ChangedAt) {
		t.Errorf("want the workspace changed with the item at %v, got %v (%v)", file.ChangedAt, ws.ChangedAt, err)
	}
}

func TestF8_AStaleSaveCarriesTheCurrentItem(t *testing.T) {
	b := newBench(t)
	first := b.mustSave("a.py", "one")
	second, err := b.save("a.py", "two", first.Version)
	if err != nil {
		t.Fatal(err)
	}
	for _, stale := range []int64{0, first.Version, second.Version + 1} {
		_, err := b.save("a.py", "three", stale)
		wantKind(t, err, fault.Conflict)
		conflict, ok := errors.AsType[*workspace.VersionConflict](err)
		if !ok || conflict.Current == nil || *conflict.Current != second {
			t.Fatalf("want the conflict to carry %+v, got %+v", second, conflict)
		}
	}
	_, err = b.save("b.py", "new", 7)
	if conflict, ok := errors.AsType[*workspace.VersionConflict](err); !ok || conflict.Current != nil {
		t.Errorf("want a conflict with nothing, got %v", err)
	}
	if got := b.items(); len(got) != 1 || got[0] != second {
		t.Errorf("want only the second save, got %+v", got)
	}
	change := b.remove("a.py")
	change.IfVersion = first.Version
	_, err = b.apply(change)
	wantKind(t, err, fault.Conflict)
}

func TestWhatChangesNothingIsNoVersion(t *testing.T) {
	b := newBench(t)
	file := b.mustSave("a.py", "one")
	b.must(b.folder("dir"), workspace.Change{Path: "l", IfVersion: 0, Kind: workspace.Link, Target: "a.py"})
	before, err := b.db.Workspace(t.Context(), b.ws)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := save("a.py", "one", file.Version)
	applied := b.must(again, b.folder("dir"), workspace.Change{Path: "l", IfVersion: workspace.AnyVersion, Kind: workspace.Link, Target: "a.py"},
		b.move("a.py", "a.py"))
	if len(applied) != 4 || *applied[0].Item != file || *applied[3].Item != file || applied[1].Item.Version != 2 {
		t.Errorf("want the items as they were, got %+v", applied)
	}
	after, err := b.db.Workspace(t.Context(), b.ws)
	if err != nil || after != before {
		t.Errorf("want an unchanged workspace %+v, got %+v (%v)", before, after, err)
	}
}

func TestAFileCanBecomeALinkAndBack(t *testing.T) {
	b := newBench(t)
	file := b.mustSave("x", "content")
	link := *b.must(workspace.Change{Path: "x", IfVersion: file.Version, Kind: workspace.Link, Target: "../elsewhere"})[0].Item
	if link.ID != file.ID || link.Kind != workspace.Link || link.Size != 0 || link.Hash != (workspace.Hash{}) || link.Target != "../elsewhere" {
		t.Errorf("want the same item as a link, got %+v", link)
	}
	back := b.mustSave("x", "content")
	if back.Target != "" || back.Size != 7 || back.Version != 3 {
		t.Errorf("want the file again, got %+v", back)
	}
}

func TestF3_NothingIsBothFileAndFolder(t *testing.T) {
	b := newBench(t)
	b.mustSave("file", "x")
	b.mustSave("dir/inner", "x")
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"a folder over a file", func() error { _, err := b.apply(b.folder("file")); return err }},
		{"a file over a folder", func() error { _, err := b.save("dir", "y", workspace.AnyVersion); return err }},
		{"a link over a folder", func() error {
			_, err := b.apply(workspace.Change{Path: "dir", IfVersion: workspace.AnyVersion, Kind: workspace.Link, Target: "x"})
			return err
		}},
		{"a file below a file", func() error { _, err := b.save("file/below", "y", 0); return err }},
		{"a file deep below a file", func() error { _, err := b.save("file/very/deep", "y", 0); return err }},
		{"a move onto a file", func() error { _, err := b.apply(b.move("dir", "file")); return err }},
		{"a move onto a folder", func() error { _, err := b.apply(b.move("file", "dir")); return err }},
		{"a move below a file", func() error { _, err := b.apply(b.move("dir", "file/dir")); return err }},
	} {
		if err := c.change(); !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: want a conflict, got %v", c.name, err)
		}
	}
	if got, want := b.paths(), []string{"dir", "dir/inner", "file"}; !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestF3_AFolderCannotMoveIntoItself(t *testing.T) {
	b := newBench(t)
	b.mustSave("dir/inner/file", "x")
	for _, to := range []string{"dir/inner/dir", "dir/new", "dir/inner"} {
		_, err := b.apply(b.move("dir", to))
		wantKind(t, err, fault.Invalid)
	}
	_, err := b.apply(b.move("nothing", "somewhere"))
	wantKind(t, err, fault.NotFound)
	_, err = b.apply(b.remove("nothing"))
	wantKind(t, err, fault.NotFound)
}

func TestAMoveTakesEverythingBelowAlong(t *testing.T) {
	b := newBench(t)
	file := b.mustSave("dir/sub/file", "x")
	b.mustSave("dir-2", "sorts between dir and its content")
	b.mustSave("dir0", "sorts after its content")
	applied := b.must(b.move("dir", "new/place"))
	if len(applied) != 2 || applied[0].Item.Path != "new" || *applied[1].Moved != (workspace.Moved{From: "dir", To: "new/place"}) {
		t.Errorf("want a new folder and the move, got %+v", applied)
	}
	want := []string{"dir-2", "dir0", "new", "new/place", "new/place/sub", "new/place/sub/file"}
	if got := b.paths(); !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	moved, err := b.db.Item(t.Context(), b.ws, "new/place/sub/file")
	if err != nil || moved.ID != file.ID || moved.Version <= file.Version || moved.Hash != file.Hash {
		t.Errorf("want the same item with a new version, got %+v (%v)", moved, err)
	}
	if from := value[string](t, b.url, "SELECT moved_from FROM item_versions WHERE version = $1", moved.Version); from != "dir/sub/file" {
		t.Errorf("want the version to say where it was, got %q", from)
	}
}

func TestAMoveThatWouldMakePathsTooLongIsRefused(t *testing.T) {
	b := newBench(t)
	deep := strings.Repeat("d/", 20)
	b.mustSave("dir/"+deep+"file", "x")
	before := b.paths()
	_, err := b.apply(b.move("dir", strings.Repeat("e/", 15)+"dir"))
	wantKind(t, err, fault.Invalid)
	_, err = b.apply(b.move("dir", strings.Repeat(strings.Repeat("n", 250)+"/", 4)+"dir"))
	wantKind(t, err, fault.Invalid)
	if got := b.paths(); !reflect.DeepEqual(got, before) {
		t.Errorf("want nothing changed, got %q", got)
	}
}

func TestF3_TwoRenamesSwapTwoItems(t *testing.T) {
	b := newBench(t)
	one, two := b.mustSave("a/file", "one"), b.mustSave("b", "two")
	b.must(b.move("a", "tmp"), b.move("b", "a"), b.move("tmp", "b"))
	if got, want := b.paths(), []string{"a", "b", "b/file"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("want %q, got %q", want, got)
	}
	for path, want := range map[string]workspace.Item{"a": two, "b/file": one} {
		if got, err := b.db.Item(t.Context(), b.ws, path); err != nil || got.ID != want.ID {
			t.Errorf("%s: want the item %v, got %+v (%v)", path, want.ID, got, err)
		}
	}
}

func TestARemovalKeepsEveryVersion(t *testing.T) {
	b := newBench(t)
	file := b.mustSave("dir/sub/file", "precious")
	b.mustSave("dir.txt", "stays")
	applied := b.must(b.remove("dir"))
	if len(applied) != 1 || applied[0].Removed != "dir" {
		t.Errorf("want one removal, got %+v", applied)
	}
	if got, want := b.paths(), []string{"dir.txt"}; !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q", want, got)
	}
	removals := value[int](t, b.url, "SELECT count(*) FROM item_versions WHERE removed")
	kept := value[[]byte](t, b.url, "SELECT hash FROM item_versions WHERE removed AND path = 'dir/sub/file' AND author_user = $1", b.owner.ID)
	if removals != 3 || workspace.Hash(kept) != file.Hash {
		t.Errorf("want 3 versions that say removed, with the content, got %d and %x", removals, kept)
	}
	again := b.mustSave("dir/sub/file", "new")
	if again.ID == file.ID || again.Version <= file.Version+3 {
		t.Errorf("want a new item with a version never used, got %+v", again)
	}
}

func TestAFolderThatMustBeEmptyIsNotRemovedWithItsContent(t *testing.T) {
	b := newBench(t)
	b.mustSave("dir/file", "x")
	only := b.remove("dir")
	only.OnlyEmpty = true
	_, err := b.apply(only)
	wantKind(t, err, fault.Conflict)
	b.must(b.remove("dir/file"), only)
	if got := b.paths(); len(got) != 0 {
		t.Errorf("want nothing left, got %q", got)
	}
}

func TestChangesOfOneListBuildOnEachOther(t *testing.T) {
	b := newBench(t)
	b.mustSave("old/file", "one")
	change, blob := save("old", "now a file", 0)
	inner, innerBlob := save("fresh/x/y", "deep", 0)
	applied, err := b.db.Apply(t.Context(), b.ws, workspace.Author{UserID: b.owner.ID},
		[]workspace.Change{b.remove("old"), change, inner, b.move("fresh/x", "x"), b.remove("fresh"), b.folder("x/empty"), b.remove("x/empty")},
		[]workspace.Blob{blob, innerBlob}, limits)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.paths(), []string{"old", "x", "x/y"}; !reflect.DeepEqual(got, want) {
		t.Errorf("want %q, got %q (applied %+v)", want, got, applied)
	}
}

func TestAListOfChangesIsAppliedWholeOrNotAtAll(t *testing.T) {
	b := newBench(t)
	b.mustSave("a", "one")
	before, versions := b.items(), value[int](t, b.url, "SELECT count(*) FROM item_versions")
	change, blob := save("b", "two", 0)
	_, err := b.db.Apply(t.Context(), b.ws, workspace.Author{UserID: b.owner.ID},
		[]workspace.Change{change, b.remove("a"), b.remove("missing")}, []workspace.Blob{blob}, limits)
	wantKind(t, err, fault.NotFound)
	if got := b.items(); !reflect.DeepEqual(got, before) {
		t.Errorf("want %+v, got %+v", before, got)
	}
	if got := value[int](t, b.url, "SELECT count(*) FROM item_versions"); got != versions {
		t.Errorf("want %d versions, got %d", versions, got)
	}
}

func TestContentMustBeStoredOrGiven(t *testing.T) {
	b := newBench(t)
	change, blob := save("a", "never given", 0)
	_, err := b.apply(change)
	if err == nil || fault.KindOf(err) != fault.Internal {
		t.Fatalf("want an internal error, got %v", err)
	}
	wrong := blob
	wrong.Size++
	_, err = b.db.Apply(t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, []workspace.Change{change}, []workspace.Blob{wrong}, limits)
	if err == nil || fault.KindOf(err) != fault.Internal {
		t.Fatalf("want an internal error for a wrong size, got %v", err)
	}
	b.mustSave("other", "never given")
	b.must(change) // now it is stored
	other, _ := content("something else")
	has, err := b.db.HasBlobs(t.Context(), []workspace.Hash{blob.Hash, other})
	if err != nil || !reflect.DeepEqual(has, map[workspace.Hash]bool{blob.Hash: true, other: false}) {
		t.Errorf("want only the stored one, got %v (%v)", has, err)
	}
	_, err = b.db.Blob(t.Context(), other)
	wantKind(t, err, fault.NotFound)
}

func TestF6_Limits(t *testing.T) {
	b := newBench(t)
	try := func(l workspace.Limits, changes []workspace.Change, blobs ...workspace.Blob) error {
		_, err := b.db.Apply(t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, changes, blobs, l)
		return err
	}
	tight := workspace.Limits{FileBytes: 10, WorkspaceBytes: 15, Items: 3, Workspaces: 1}
	ten, tenBlob := save("ten", "0123456789", 0)
	eleven, elevenBlob := save("eleven", "0123456789a", 0)
	wantKind(t, try(tight, []workspace.Change{eleven}, elevenBlob), fault.TooLarge)
	if err := try(tight, []workspace.Change{ten}, tenBlob); err != nil {
		t.Fatal(err)
	}
	five, fiveBlob := save("five", "01234", 0)
	six, sixBlob := save("six", "012345", 0)
	wantKind(t, try(tight, []workspace.Change{six}, sixBlob), fault.Exhausted)
	if err := try(tight, []workspace.Change{five}, fiveBlob); err != nil {
		t.Fatal(err)
	}
	wantKind(t, try(tight, []workspace.Change{b.folder("one/two")}), fault.Exhausted)
	if err := try(tight, []workspace.Change{b.folder("one")}); err != nil {
		t.Fatal(err)
	}
	// What has become too much can still be made less, and is not stuck.
	lowered := workspace.Limits{FileBytes: 10, WorkspaceBytes: 1, Items: 1, Workspaces: 1}
	if err := try(lowered, []workspace.Change{b.remove("one")}); err != nil {
		t.Errorf("want a removal to pass beyond the limits, got %v", err)
	}
	less, lessBlob := save("ten", "0", workspace.AnyVersion)
	if err := try(lowered, []workspace.Change{less}, lessBlob); err != nil {
		t.Errorf("want a smaller file to pass beyond the limits, got %v", err)
	}
	if got, err := b.db.Totals(t.Context(), b.ws); err != nil || got != (workspace.Totals{Items: 2, Bytes: 6}) {
		t.Errorf("want 2 items of 6 bytes, got %+v (%v)", got, err)
	}
}

func TestNothingIsChangedInAMissingWorkspace(t *testing.T) {
	b := newBench(t)
	missing := uuid.New()
	_, err := b.db.Apply(t.Context(), missing, workspace.Author{}, []workspace.Change{b.folder("x")}, nil, limits)
	wantKind(t, err, fault.NotFound)
	_, err = b.db.Items(t.Context(), missing)
	wantKind(t, err, fault.NotFound)
	_, err = b.db.ItemsAt(t.Context(), missing, []string{"x"})
	wantKind(t, err, fault.NotFound)
	_, err = b.db.Item(t.Context(), missing, "x")
	wantKind(t, err, fault.NotFound)
	_, err = b.db.Totals(t.Context(), missing)
	wantKind(t, err, fault.NotFound)
}
