package workspace_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/workspace"
)

// bench is a Service on a database of its own, with an owner and a stranger.
type bench struct {
	*workspace.Service
	store           workspace.Store
	owner, stranger auth.Principal
}

func newBench(t testing.TB, limits workspace.Limits) *bench {
	t.Helper()
	db := postgrestest.New(t)
	keys, err := workspace.LoadKeys(filepath.Join(t.TempDir(), "keys.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{store: db}
	b.Service = workspace.New(workspace.Config{Store: db, Keys: keys, Limits: limits, Log: slog.New(slog.DiscardHandler)})
	for name, p := range map[string]*auth.Principal{"owner": &b.owner, "stranger": &b.stranger} {
		user, err := db.CreateUser(t.Context(), auth.NewUser{Username: name, PasswordHash: "none"})
		if err != nil {
			t.Fatal(err)
		}
		*p = auth.Principal{UserID: user.ID, Username: name}
	}
	return b
}

// create makes a workspace of the owner's without files.
func (b *bench) create(t testing.TB) uuid.UUID {
	t.Helper()
	limits := b.Limits()
	limits.Workspaces = 1 << 30 // a random test makes many
	ws, err := b.store.CreateWorkspace(t.Context(), b.owner.UserID, "Test", nil, nil, limits)
	if err != nil {
		t.Fatal(err)
	}
	return ws.ID
}

func (b *bench) write(t testing.TB, ws uuid.UUID, path, content string) workspace.Item {
	t.Helper()
	item, err := b.Write(t.Context(), b.owner, ws, path, []byte(content), workspace.WriteOptions{IfVersion: workspace.AnyVersion})
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func paths(items []workspace.Item) []string {
	var out []string
	for _, item := range items {
		out = append(out, item.Path)
	}
	return out
}

func TestAWorkspaceStartsWithTheFilesOfItsTemplate(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	for template, want := range map[string][]string{
		"":              {"README.md", "main.py"},
		"blank":         {"README.md", "main.py"},
		"data-analysis": {"README.md", "analysis.py", "data", "data/sales.csv"},
	} {
		ws, err := b.Create(t.Context(), b.owner, " Mine ", template)
		if err != nil {
			t.Fatal(err)
		}
		if ws.Name != "Mine" || ws.OwnerID != b.owner.UserID {
			t.Errorf("got %+v", ws)
		}
		items, err := b.Tree(t.Context(), b.owner, ws.ID)
		if err != nil || !slices.Equal(paths(items), want) {
			t.Errorf("%q: want %v, got %v, %v", template, want, paths(items), err)
		}
		_, content, err := b.Read(t.Context(), b.owner, ws.ID, "README.md")
		if err != nil || !bytes.HasPrefix(content, []byte("# ")) {
			t.Errorf("%q: got %q, %v", template, content, err)
		}
	}
	if _, err := b.Create(t.Context(), b.owner, "x", "none"); !fault.Is(err, fault.Invalid) {
		t.Errorf("want Invalid for a template that does not exist, got %v", err)
	}
	if _, err := b.Create(t.Context(), auth.Principal{}, "x", ""); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("want Unauthenticated for nobody, got %v", err)
	}
}

func TestZ1_AForeignWorkspaceIsLikeOneThatDoesNotExist(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	b.write(t, ws, "a.txt", "secret")
	ctx := t.Context()
	for name, call := range map[string]func(p auth.Principal, ws uuid.UUID) error{
		"get":    func(p auth.Principal, ws uuid.UUID) error { _, err := b.Get(ctx, p, ws); return err },
		"rename": func(p auth.Principal, ws uuid.UUID) error { _, err := b.Rename(ctx, p, ws, "x"); return err },
		"delete": func(p auth.Principal, ws uuid.UUID) error { return b.Delete(ctx, p, ws) },
		"tree":   func(p auth.Principal, ws uuid.UUID) error { _, err := b.Tree(ctx, p, ws); return err },
		"stat":   func(p auth.Principal, ws uuid.UUID) error { _, err := b.Stat(ctx, p, ws, "a.txt"); return err },
		"read":   func(p auth.Principal, ws uuid.UUID) error { _, _, err := b.Read(ctx, p, ws, "a.txt"); return err },
		"write": func(p auth.Principal, ws uuid.UUID) error {
			_, err := b.Write(ctx, p, ws, "a.txt", nil, workspace.WriteOptions{IfVersion: workspace.AnyVersion})
			return err
		},
		"folder": func(p auth.Principal, ws uuid.UUID) error { _, err := b.MakeFolder(ctx, p, ws, "f"); return err },
		"move":   func(p auth.Principal, ws uuid.UUID) error { _, err := b.Move(ctx, p, ws, "a.txt", "b.txt"); return err },
		"remove": func(p auth.Principal, ws uuid.UUID) error { return b.Remove(ctx, p, ws, "a.txt", workspace.AnyVersion) },
	} {
		foreign, missing, nobody := call(b.stranger, ws), call(b.stranger, uuid.New()), call(auth.Principal{}, ws)
		if !fault.Is(foreign, fault.NotFound) || !fault.Is(missing, fault.NotFound) || foreign.Error() != missing.Error() {
			t.Errorf("%s: want one NotFound for foreign and missing, got %v and %v", name, foreign, missing)
		}
		if !fault.Is(nobody, fault.Unauthenticated) {
			t.Errorf("%s: want Unauthenticated for nobody, got %v", name, nobody)
		}
	}
	if _, content, err := b.Read(ctx, b.owner, ws, "a.txt"); err != nil || string(content) != "secret" {
		t.Errorf("the file has changed: %q, %v", content, err)
	}
	if list, _, err := b.List(ctx, b.stranger, "", 0); err != nil || len(list) != 0 {
		t.Errorf("the stranger's list: %v, %v", list, err)
	}
}

func TestF2_ContentIsKeptByteForByte(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	all := make([]byte, 256)
	for n := range all {
		all[n] = byte(n)
	}
	for name, content := range map[string][]byte{
		"all bytes": all, "CRLF": []byte("a\r\nb\r\n"), "BOM": []byte("\ufeffx\n"), "no last newline": []byte("a\nb"),
		"empty": {}, "NUL": []byte("a\x00b"), "invalid UTF-8": []byte("\xff\xfe\xed\xa0\x80"), "one MiB": bytes.Repeat(all, 4096),
	} {
		item, err := b.Write(t.Context(), b.owner, ws, name, content, workspace.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, read, err := b.Read(t.Context(), b.owner, ws, name)
		if err != nil || sha256.Sum256(read) != sha256.Sum256(content) || got != item || got.Size != int64(len(content)) {
			t.Errorf("%s: got %d bytes, %+v, %v", name, len(read), got, err)
		}
		if got.Hash != b.HashOf(sha256.Sum256(content)) {
			t.Errorf("%s: the hash is not that of the content", name)
		}
		blob, err := b.store.Blob(t.Context(), got.Hash)
		if err != nil {
			t.Fatal(err)
		}
		if len(content) > 20 && bytes.Contains(blob.Sealed, content[:20]) {
			t.Errorf("C1: %s is stored in clear", name)
		}
	}
	if _, err := b.Write(t.Context(), b.owner, ws, "cafe\u0301", nil, workspace.WriteOptions{}); !fault.Is(err, fault.Invalid) ||
		!strings.Contains(err.Error(), "NFC") {
		t.Errorf("want a decomposed name refused with the reason, got %v", err)
	}
}

func TestC2_ContentThatWasSwappedInTheDatabaseIsNotShown(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	b.write(t, ws, "a", "content of a")
	a, _, err := b.Read(t.Context(), b.owner, ws, "a")
	if err != nil {
		t.Fatal(err)
	}
	blob, err := b.store.Blob(t.Context(), a.Hash)
	if err != nil {
		t.Fatal(err)
	}
	blob.Hash = b.HashOf(sha256.Sum256([]byte("content of b")))
	_, err = b.store.Apply(t.Context(), ws, workspace.Author{UserID: b.owner.UserID}, []workspace.Change{{Path: "b", Kind: workspace.File,
		Hash: blob.Hash, Size: blob.Size}}, []workspace.Blob{blob}, b.Limits())
	if err != nil {
		t.Fatal(err)
	}
	if _, content, err := b.Read(t.Context(), b.owner, ws, "b"); !errors.Is(err, workspace.ErrSealed) || content != nil {
		t.Fatalf("want ErrSealed, got %q, %v", content, err)
	}
}

func TestAStaleSaveIsAConflictWithWhatIsThere(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	ctx := t.Context()
	first, err := b.Write(ctx, b.owner, ws, "a", []byte("1"), workspace.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.Write(ctx, b.owner, ws, "a", []byte("2"), workspace.WriteOptions{IfVersion: first.Version})
	if err != nil || second.Version <= first.Version {
		t.Fatalf("want a later version than %d, got %+v, %v", first.Version, second, err)
	}
	conflict := func(name string, err error, current *workspace.Item) {
		t.Helper()
		c, ok := errors.AsType[*workspace.VersionConflict](err)
		if !ok || !fault.Is(err, fault.Conflict) || (c.Current == nil) != (current == nil) || current != nil && *c.Current != *current {
			t.Errorf("%s: want a VersionConflict with %+v, got %v", name, current, err)
		}
	}
	_, err = b.Write(ctx, b.owner, ws, "a", []byte("3"), workspace.WriteOptions{IfVersion: first.Version})
	conflict("stale", err, &second)
	_, err = b.Write(ctx, b.owner, ws, "a", []byte("3"), workspace.WriteOptions{})
	conflict("to be new", err, &second)
	_, err = b.Write(ctx, b.owner, ws, "b", []byte("3"), workspace.WriteOptions{IfVersion: first.Version})
	conflict("to be there", err, nil)
	conflict("stale removal", b.Remove(ctx, b.owner, ws, "a", first.Version), &second)
	if err := b.Remove(ctx, b.owner, ws, "a", second.Version); err != nil {
		t.Fatal(err)
	}
	again, err := b.Write(ctx, b.owner, ws, "a", []byte("1"), workspace.WriteOptions{})
	if err != nil || again.Version <= second.Version {
		t.Errorf("want a version after %d also after a removal, got %+v, %v", second.Version, again, err)
	}
}

func TestASaveKeepsTheModeUnlessItIsTold(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	yes, no := true, false
	for _, step := range []struct {
		executable *bool
		want       bool
	}{{nil, false}, {&yes, true}, {nil, true}, {&no, false}, {nil, false}} {
		item, err := b.Write(t.Context(), b.owner, ws, "run.sh", []byte(uuid.NewString()),
			workspace.WriteOptions{IfVersion: workspace.AnyVersion, Executable: step.executable})
		if err != nil || item.Executable != step.want {
			t.Fatalf("want executable %v, got %+v, %v", step.want, item, err)
		}
	}
}

func TestF6_ALimitIsNamedAndNothingIsStoredBeyondIt(t *testing.T) {
	b := newBench(t, workspace.Limits{FileBytes: 1 << 10, WorkspaceBytes: 3 << 10, Items: 5, Workspaces: 2})
	ws := b.create(t)
	ctx := t.Context()
	put := func(path string, size int) error {
		_, err := b.Write(ctx, b.owner, ws, path, bytes.Repeat([]byte(path[:1]), size), workspace.WriteOptions{IfVersion: workspace.AnyVersion})
		return err
	}
	if err := put("a", 1<<10); err != nil {
		t.Fatal(err)
	}
	if err := put("a", 1<<10+1); !fault.Is(err, fault.TooLarge) || !strings.Contains(err.Error(), "1 KiB") {
		t.Errorf("want TooLarge that names the limit, got %v", err)
	}
	if item, err := b.Stat(ctx, b.owner, ws, "a"); err != nil || item.Size != 1<<10 {
		t.Errorf("want the file as it was, got %+v, %v", item, err)
	}
	for _, path := range []string{"b", "c"} {
		if err := put(path, 1<<10); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("d", 1); !fault.Is(err, fault.Exhausted) {
		t.Errorf("want Exhausted beyond the workspace's bytes, got %v", err)
	}
	if err := put("a", 0); err != nil {
		t.Fatal(err)
	}
	if err := put("d/e/f", 0); !fault.Is(err, fault.Exhausted) {
		t.Errorf("want Exhausted beyond the number of items, got %v", err)
	}
	if items, err := b.Tree(ctx, b.owner, ws); err != nil || !slices.Equal(paths(items), []string{"a", "b", "c"}) {
		t.Errorf("want nothing half made, got %v, %v", paths(items), err)
	}
	if _, err := b.Create(ctx, b.owner, "two", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, b.owner, "three", ""); !fault.Is(err, fault.Exhausted) {
		t.Errorf("want Exhausted beyond the number of workspaces, got %v", err)
	}
}

func TestF1_NoEntranceTakesAPathThatIsNotAllowed(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	b.write(t, ws, "ok", "")
	ctx := t.Context()
	for _, bad := range []string{"", "../x", "a//b", "/etc/x", "a\x00", "a\nb", "\xff", "cafe\u0301", ".vivarium-tmp-1"} {
		for name, call := range map[string]func() error{
			"write":     func() error { _, err := b.Write(ctx, b.owner, ws, bad, nil, workspace.WriteOptions{}); return err },
			"folder":    func() error { _, err := b.MakeFolder(ctx, b.owner, ws, bad); return err },
			"move from": func() error { _, err := b.Move(ctx, b.owner, ws, bad, "x"); return err },
			"move to":   func() error { _, err := b.Move(ctx, b.owner, ws, "ok", bad); return err },
			"remove":    func() error { return b.Remove(ctx, b.owner, ws, bad, workspace.AnyVersion) },
			"stat":      func() error { _, err := b.Stat(ctx, b.owner, ws, bad); return err },
			"read":      func() error { _, _, err := b.Read(ctx, b.owner, ws, bad); return err },
			"sync": func() error {
				folder := workspace.Change{Path: bad, Kind: workspace.Folder}
				_, err := b.ApplySynced(ctx, ws, workspace.Author{}, []workspace.SyncedChange{{Change: folder}})
				return err
			},
		} {
			f, ok := errors.AsType[*fault.Error](call())
			if !ok || f.Kind != fault.Invalid || f.Field == "" {
				t.Errorf("%s of %q: want Invalid with a field, got %v", name, bad, f)
			}
		}
	}
	if _, err := b.Write(ctx, b.owner, ws, "a/node_modules/x", nil, workspace.WriteOptions{}); !fault.Is(err, fault.Invalid) ||
		!strings.Contains(err.Error(), "Caches are not stored") {
		t.Errorf("want a cache refused with the reason, got %v", err)
	}
	if items, err := b.Tree(ctx, b.owner, ws); err != nil || !slices.Equal(paths(items), []string{"ok"}) {
		t.Errorf("got %v, %v", paths(items), err)
	}
}

func TestAMoveMakesNoPathThatIsTooLongOrTooDeep(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	ctx := t.Context()
	deep := strings.Repeat("d/", 28)
	b.write(t, ws, "f/1/2/3/x", "")
	b.write(t, ws, deep+"y", "")
	if _, err := b.Move(ctx, b.owner, ws, "f", deep+"f"); !fault.Is(err, fault.Invalid) {
		t.Errorf("want Invalid for 33 deep, got %v", err)
	}
	if _, err := b.Move(ctx, b.owner, ws, "f", "f/1/f"); !fault.Is(err, fault.Invalid) {
		t.Errorf("want Invalid for a folder into itself, got %v", err)
	}
	if item, err := b.Move(ctx, b.owner, ws, "f/1/2", deep+"2"); err != nil || item.Path != deep+"2" || item.Kind != workspace.Folder {
		t.Errorf("want a move that fits, got %+v, %v", item, err)
	}
	if _, err := b.Stat(ctx, b.owner, ws, deep+"2/3/x"); err != nil {
		t.Error(err)
	}
}

func TestF3_OfManyWhoMakeOneFileOneDoes(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ws := b.create(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, conflicts := 0, 0
	for n := range 100 {
		wg.Go(func() {
			_, err := b.Write(t.Context(), b.owner, ws, "new.txt", fmt.Append(nil, n), workspace.WriteOptions{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case fault.Is(err, fault.Conflict):
				conflicts++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 || conflicts != 99 {
		t.Fatalf("want 1 and 99, got %d and %d", made, conflicts)
	}
}
