package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/workspace"
)

// Items implements workspace.Store. NotFound when there is no such workspace, so that no caller takes one that was deleted
// for one that is empty.
func (db *DB) Items(ctx context.Context, id uuid.UUID) ([]workspace.Item, error) {
	return db.items(ctx, id, func(ctx context.Context, q *sqlcgen.Queries) ([]sqlcgen.WorkspaceItem, error) {
		return q.Items(ctx, id)
	})
}

// ItemsAt implements workspace.Store. NotFound when there is no such workspace.
func (db *DB) ItemsAt(ctx context.Context, id uuid.UUID, paths []string) ([]workspace.Item, error) {
	return db.items(ctx, id, func(ctx context.Context, q *sqlcgen.Queries) ([]sqlcgen.WorkspaceItem, error) {
		return q.ItemsAt(ctx, sqlcgen.ItemsAtParams{WorkspaceID: id, Paths: paths, Roots: paths})
	})
}

func (db *DB) items(ctx context.Context, id uuid.UUID,
	query func(ctx context.Context, q *sqlcgen.Queries) ([]sqlcgen.WorkspaceItem, error)) ([]workspace.Item, error) {
	var items []workspace.Item
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := query(ctx, q)
		if err != nil {
			return err
		}
		items = make([]workspace.Item, len(rows))
		for i, row := range rows {
			items[i] = itemOf(row)
		}
		if len(rows) > 0 {
			return nil
		}
		there, err := q.WorkspaceExists(ctx, id)
		if err == nil && !there {
			return noWorkspace(nil)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Item implements workspace.Store.
func (db *DB) Item(ctx context.Context, id uuid.UUID, path string) (workspace.Item, error) {
	var row sqlcgen.WorkspaceItem
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.ItemByPath(ctx, sqlcgen.ItemByPathParams{WorkspaceID: id, Path: path})
		return found(err, "There is nothing at this path.")
	})
	return itemOf(row), err
}

// HasBlobs implements workspace.Store.
func (db *DB) HasBlobs(ctx context.Context, hashes []workspace.Hash) (map[workspace.Hash]bool, error) {
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	has := make(map[workspace.Hash]bool, len(hashes))
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.BlobSizes(ctx, raw)
		if err != nil {
			return err
		}
		for _, h := range hashes {
			has[h] = false
		}
		for _, row := range rows {
			has[hashOf(row.Hash)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return has, nil
}

// Blob implements workspace.Store.
func (db *DB) Blob(ctx context.Context, h workspace.Hash) (workspace.Blob, error) {
	var row sqlcgen.Blob
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.BlobByHash(ctx, h[:])
		return found(err, "There is no such content.")
	})
	if err != nil {
		return workspace.Blob{}, err
	}
	return workspace.Blob{Hash: h, Size: row.Size, Sealed: row.Sealed}, nil
}

func itemOf(row sqlcgen.WorkspaceItem) workspace.Item {
	return workspace.Item{ID: row.ID, WorkspaceID: row.WorkspaceID, Path: row.Path, Kind: workspace.Kind(row.Kind),
		Executable: row.Executable, Size: row.Size, Version: row.Version, Hash: hashOf(row.Hash), Target: row.Target,
		ChangedAt: row.ChangedAt}
}

// hashOf reads a hash; NULL is the zero one.
func hashOf(raw []byte) workspace.Hash {
	var h workspace.Hash
	copy(h[:], raw)
	return h
}

// hashBytes returns what is stored as the hash of an item: NULL for everything but files.
func hashBytes(kind workspace.Kind, h workspace.Hash) []byte {
	if kind != workspace.File {
		return nil
	}
	return h[:]
}

// Bounds of what the ordinary time is enough for.
const (
	ordinaryRows  = 200
	ordinaryBytes = 16 << 20
)

// limitFor returns how long an operation on so many rows and bytes may take.
func limitFor(rows int, bytes int64) time.Duration {
	if rows > ordinaryRows || bytes > ordinaryBytes {
		return longLimit
	}
	return ordinaryLimit
}

func bytesOf(blobs []workspace.Blob) int64 {
	var sum int64
	for _, b := range blobs {
		sum += int64(len(b.Sealed))
	}
	return sum
}
