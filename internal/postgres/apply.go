package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/workspace"
)

// blobChunk bounds the content that one statement carries, in bytes.
const blobChunk = 8 << 20

// Apply implements workspace.Store. It takes four round trips, whatever it does: begin, read what is there, write, commit.
// What comes from a session is refused with Conflict when another server has taken the session over (see HoldServer).
func (db *DB) Apply(ctx context.Context, id uuid.UUID, by workspace.Author, changes []workspace.Change, blobs []workspace.Blob,
	limits workspace.Limits) ([]workspace.Applied, error) {
	limit := limitFor(len(changes), bytesOf(blobs))
	if slices.ContainsFunc(changes, func(c workspace.Change) bool { return c.Remove || c.MoveTo != "" }) {
		limit = longLimit // one change may be about thousands of items
	}
	var applied []workspace.Applied
	err := db.tx(ctx, limit, func(ctx context.Context, t *txn) (err error) {
		applied, err = db.apply(ctx, t, id, by, changes, blobs, limits)
		return err
	})
	if err != nil {
		return nil, err
	}
	return applied, nil
}

func (db *DB) apply(ctx context.Context, t *txn, id uuid.UUID, by workspace.Author, changes []workspace.Change, blobs []workspace.Blob,
	limits workspace.Limits) ([]workspace.Applied, error) {
	e := &edit{workspace: id, limits: limits, blobs: map[workspace.Hash]int64{}, dirty: map[*node]struct{}{},
		used: map[workspace.Hash]struct{}{}}
	for _, b := range blobs {
		e.blobs[b.Hash] = b.Size
	}
	if err := db.load(ctx, t, e, by, changes); err != nil {
		return nil, err
	}
	items, total := e.items, e.bytes
	for i, c := range changes {
		if err := e.change(c); err != nil {
			if errors.Is(err, errUnknownBlob) {
				err = fmt.Errorf("change %d: %w", i, err)
			}
			return nil, err
		}
	}
	// Whoever is beyond a limit, because it was lowered, may still make the workspace smaller.
	if e.items > limits.Items && e.items > items {
		return nil, fault.New(fault.Exhausted, "The workspace would have %d files and folders. At most %d are stored; delete some, or keep "+
			"generated files in an ignored folder.", e.items, limits.Items)
	}
	if e.bytes > limits.WorkspaceBytes && e.bytes > total {
		return nil, fault.New(fault.Exhausted, "The workspace would have %s. At most %s are stored; delete something first.",
			sizeText(e.bytes), sizeText(limits.WorkspaceBytes))
	}
	if len(e.versions.Versions) == 0 {
		return e.applied, nil
	}
	return e.applied, e.write(ctx, t, by, blobs)
}

// load locks the workspace's row and reads everything that the changes may touch, in one round trip. In READ COMMITTED each
// statement sees what was committed before it, so that those after the lock see what the last writer left.
func (db *DB) load(ctx context.Context, t *txn, e *edit, by workspace.Author, changes []workspace.Change) error {
	paths, roots, hashes := touched(e, changes)
	var (
		locked []sqlcgen.LockWorkspaceRow
		fence  []uuid.NullUUID
		now    []time.Time
		rows   []sqlcgen.WorkspaceItem
		sizes  []sqlcgen.BlobSizesRow
	)
	ask := newPipeline()
	query(ask, &locked, pgx.RowToStructByPos, sqlcgen.LockWorkspace, e.workspace)
	fenced := by.SessionID != uuid.Nil && db.held.Load() != nil
	if fenced {
		query(ask, &fence, pgx.RowTo, sqlcgen.SessionFence, by.SessionID)
	}
	query(ask, &now, pgx.RowTo, sqlcgen.Now)
	query(ask, &rows, pgx.RowToStructByPos, sqlcgen.ItemsAt, e.workspace, paths, roots)
	if len(hashes) > 0 {
		query(ask, &sizes, pgx.RowToStructByPos, sqlcgen.BlobSizes, hashes)
	}
	if err := ask.run(ctx, t); err != nil {
		return err
	}
	if len(locked) == 0 {
		return noWorkspace(pgx.ErrNoRows)
	}
	if fenced {
		if len(fence) == 0 {
			return fault.New(fault.Conflict, "The session has ended.")
		}
		if err := db.checkOwner(fence[0]); err != nil {
			return err
		}
	}
	items := make([]workspace.Item, len(rows))
	for i, row := range rows {
		items[i] = itemOf(row)
	}
	for _, row := range sizes {
		e.blobs[hashOf(row.Hash)] = row.Size
	}
	e.now, e.tree = now[0], newTree(items)
	e.seq, e.items, e.bytes = locked[0].Seq, int(locked[0].ItemCount), locked[0].TotalBytes
	return nil
}

// touched returns the paths that changes look at, those that everything below is needed of, and the contents that must be
// stored already.
func touched(e *edit, changes []workspace.Change) (paths, roots []string, hashes [][]byte) {
	seen := make(map[string]struct{}, 2*len(changes))
	add := func(p string) {
		for _, dir := range append(above(p), p) {
			if _, ok := seen[dir]; !ok {
				seen[dir] = struct{}{}
				paths = append(paths, dir)
			}
		}
	}
	for _, c := range changes {
		add(c.Path)
		switch {
		case c.Remove:
			roots = append(roots, c.Path)
		case c.MoveTo != "":
			roots = append(roots, c.Path)
			add(c.MoveTo)
		case c.Kind == workspace.File:
			if _, given := e.blobs[c.Hash]; !given {
				hashes = append(hashes, bytes.Clone(c.Hash[:]))
			}
		}
	}
	return paths, roots, hashes
}

// write sends everything that the edit noted, in one round trip.
func (e *edit) write(ctx context.Context, t *txn, by workspace.Author, blobs []workspace.Blob) error {
	made := sqlcgen.InsertItemsParams{WorkspaceID: e.workspace, ChangedAt: e.now}
	changed := sqlcgen.UpdateItemsParams{WorkspaceID: e.workspace, ChangedAt: e.now}
	for n := range e.dirty {
		if n.stored {
			changed.Ids = append(changed.Ids, n.ID)
			changed.Paths = append(changed.Paths, n.Path)
			changed.Kinds = append(changed.Kinds, string(n.Kind))
			changed.Executables = append(changed.Executables, n.Executable)
			changed.Sizes = append(changed.Sizes, n.Size)
			changed.Hashes = append(changed.Hashes, hashBytes(n.Kind, n.Hash))
			changed.Targets = append(changed.Targets, n.Target)
			changed.Versions = append(changed.Versions, n.Version)
			continue
		}
		made.Ids = append(made.Ids, n.ID)
		made.Paths = append(made.Paths, n.Path)
		made.Kinds = append(made.Kinds, string(n.Kind))
		made.Executables = append(made.Executables, n.Executable)
		made.Sizes = append(made.Sizes, n.Size)
		made.Hashes = append(made.Hashes, hashBytes(n.Kind, n.Hash))
		made.Targets = append(made.Targets, n.Target)
		made.Versions = append(made.Versions, n.Version)
	}
	e.versions.WorkspaceID, e.versions.At = e.workspace, e.now
	e.versions.AuthorUser, e.versions.AuthorSession = optional(by.UserID), optional(by.SessionID)

	send := newPipeline()
	send.queue(func(q *sqlcgen.Queries) error {
		// Paths are freed before they are taken.
		var errs []error
		for _, chunk := range e.chunks(blobs) {
			errs = append(errs, q.InsertBlobs(ctx, chunk))
		}
		if len(e.gone) > 0 {
			errs = append(errs, q.DeleteItems(ctx, sqlcgen.DeleteItemsParams{WorkspaceID: e.workspace, Ids: e.gone}))
		}
		if len(changed.Ids) > 0 {
			errs = append(errs, q.UpdateItems(ctx, changed))
		}
		if len(made.Ids) > 0 {
			errs = append(errs, q.InsertItems(ctx, made))
		}
		errs = append(errs, q.InsertVersions(ctx, e.versions), q.SetWorkspaceTotals(ctx, sqlcgen.SetWorkspaceTotalsParams{
			ID: e.workspace, Seq: e.seq, ItemCount: int32(e.items), TotalBytes: e.bytes, ChangedAt: e.now}))
		return errors.Join(errs...)
	})
	return send.run(ctx, t)
}

// chunks returns the blobs that the new versions need, in pieces that a statement can carry. All writers insert in the order of
// the hashes, so that two of them with the same contents wait for each other, and not in a circle.
func (e *edit) chunks(blobs []workspace.Blob) []sqlcgen.InsertBlobsParams {
	needed := slices.DeleteFunc(slices.Clone(blobs), func(b workspace.Blob) bool {
		_, used := e.used[b.Hash]
		return !used
	})
	slices.SortFunc(needed, func(a, b workspace.Blob) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	var chunks []sqlcgen.InsertBlobsParams
	size := blobChunk
	for i := range needed {
		if size >= blobChunk {
			chunks, size = append(chunks, sqlcgen.InsertBlobsParams{}), 0
		}
		last := &chunks[len(chunks)-1]
		last.Hashes = append(last.Hashes, needed[i].Hash[:])
		last.Sizes = append(last.Sizes, needed[i].Size)
		last.Sealed = append(last.Sealed, needed[i].Sealed)
		size += len(needed[i].Sealed)
	}
	return chunks
}

// sizeText returns a number of bytes in words.
func sizeText(n int64) string {
	switch {
	case n == 1:
		return "1 byte"
	case n < 10_000:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 10<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
