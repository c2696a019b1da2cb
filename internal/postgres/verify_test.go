package postgres_test

import (
	"context"
	"crypto/sha256"
	"path"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/auth"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/workspace"
)

var limits = workspace.Limits{FileBytes: 1 << 20, WorkspaceBytes: 10 << 20, Items: 20_000, Workspaces: 3}

// bench is a workspace of a test, with what is needed to look at it.
type bench struct {
	t     testing.TB
	db    *postgres.DB
	url   string
	owner auth.User
	ws    uuid.UUID
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{t: t}
	b.db, b.url = postgrestest.NewURL(t)
	b.owner = newUser(t, b.db)
	ws, err := b.db.CreateWorkspace(t.Context(), b.owner.ID, "test", nil, nil, limits)
	if err != nil {
		t.Fatal(err)
	}
	b.ws = ws.ID
	t.Cleanup(b.verify)
	return b
}

// content returns the hash and the blob of a text.
func content(text string) (workspace.Hash, workspace.Blob) {
	h := workspace.Hash(sha256.Sum256([]byte(text)))
	return h, workspace.Blob{Hash: h, Size: int64(len(text)), Sealed: []byte("sealed " + text)}
}

func save(p, text string, ifVersion int64) (workspace.Change, workspace.Blob) {
	h, blob := content(text)
	return workspace.Change{Path: p, IfVersion: ifVersion, Kind: workspace.File, Size: blob.Size, Hash: h}, blob
}

// apply makes changes as the owner. Files get their content from texts, by path.
func (b *bench) apply(changes ...workspace.Change) ([]workspace.Applied, error) {
	return b.db.Apply(b.t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, changes, nil, limits)
}

func (b *bench) must(changes ...workspace.Change) []workspace.Applied {
	b.t.Helper()
	applied, err := b.apply(changes...)
	if err != nil {
		b.t.Fatal(err)
	}
	return applied
}

func (b *bench) save(p, text string, ifVersion int64) (workspace.Item, error) {
	change, blob := save(p, text, ifVersion)
	applied, err := b.db.Apply(b.t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, []workspace.Change{change},
		[]workspace.Blob{blob}, limits)
	if err != nil {
		return workspace.Item{}, err
	}
	return *applied[len(applied)-1].Item, nil
}

func (b *bench) mustSave(p, text string) workspace.Item {
	b.t.Helper()
	item, err := b.save(p, text, workspace.AnyVersion)
	if err != nil {
		b.t.Fatal(err)
	}
	return item
}

func (b *bench) folder(p string) workspace.Change {
	return workspace.Change{Path: p, IfVersion: workspace.AnyVersion, Kind: workspace.Folder}
}

func (b *bench) move(from, to string) workspace.Change {
	return workspace.Change{Path: from, IfVersion: workspace.AnyVersion, MoveTo: to}
}

func (b *bench) remove(p string) workspace.Change {
	return workspace.Change{Path: p, IfVersion: workspace.AnyVersion, Remove: true}
}

func (b *bench) items() []workspace.Item {
	b.t.Helper()
	items, err := b.db.Items(b.t.Context(), b.ws)
	if err != nil {
		b.t.Fatal(err)
	}
	return items
}

func (b *bench) paths() []string {
	b.t.Helper()
	paths := []string{}
	for _, item := range b.items() {
		paths = append(paths, item.Path)
	}
	return paths
}

// verify checks what must hold for every workspace after every change.
func (b *bench) verify() {
	b.t.Helper()
	ctx := context.WithoutCancel(b.t.Context()) // it is over when a test is cleaned up
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT path, kind FROM workspace_items WHERE workspace_id = $1", b.ws)
	if err != nil {
		b.t.Fatal(err)
	}
	kinds := map[string]string{}
	for rows.Next() {
		var p, kind string
		if err := rows.Scan(&p, &kind); err != nil {
			b.t.Fatal(err)
		}
		kinds[p] = kind
	}
	if err := rows.Err(); err != nil {
		b.t.Fatal(err)
	}
	for p := range kinds {
		if dir := path.Dir(p); dir != "." && kinds[dir] != "folder" {
			b.t.Errorf("no tree: %q is in %q, which is %q", p, dir, kinds[dir])
		}
	}
	for _, rule := range []struct{ name, sql string }{
		{"totals are those of the items", `SELECT count(*) FROM workspaces w WHERE id = $1 AND (
			item_count <> (SELECT count(*) FROM workspace_items WHERE workspace_id = w.id)
			OR total_bytes <> (SELECT coalesce(sum(size), 0) FROM workspace_items WHERE workspace_id = w.id))`},
		{"the counter is the highest version", `SELECT count(*) FROM workspaces w WHERE id = $1 AND
			seq <> (SELECT coalesce(max(version), 0) FROM item_versions WHERE workspace_id = w.id)`},
		{"versions have no gaps", `SELECT count(*) FROM workspaces w WHERE id = $1 AND
			seq <> (SELECT count(*) FROM item_versions WHERE workspace_id = w.id)`},
		{"each item is as its newest version says", `SELECT count(*) FROM workspace_items i LEFT JOIN item_versions v
			ON v.workspace_id = i.workspace_id AND v.item_id = i.id AND v.version = i.version
			WHERE i.workspace_id = $1 AND (v.version IS NULL OR v.removed OR v.path <> i.path OR v.kind <> i.kind OR v.executable <> i.executable
				OR v.size <> i.size OR v.hash IS DISTINCT FROM i.hash OR v.target <> i.target OR v.at <> i.changed_at
				OR EXISTS (SELECT FROM item_versions n WHERE n.workspace_id = i.workspace_id AND n.item_id = i.id AND n.version > i.version))`},
		{"each item that is gone was removed", `SELECT count(*) FROM (SELECT DISTINCT ON (item_id) item_id, removed FROM item_versions
			WHERE workspace_id = $1 ORDER BY item_id, version DESC) last
			WHERE NOT removed AND NOT EXISTS (SELECT FROM workspace_items WHERE id = last.item_id)`},
	} {
		var broken int
		if err := conn.QueryRow(ctx, rule.sql, b.ws).Scan(&broken); err != nil {
			b.t.Fatalf("%s: %v", rule.name, err)
		}
		if broken != 0 {
			b.t.Errorf("broken in %d rows: %s", broken, rule.name)
		}
	}
}
