package postgres

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/audit"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/workspace"
)

func noWorkspace(cause error) error {
	return fault.Wrap(cause, fault.NotFound, "No such workspace.")
}

// CreateWorkspace implements workspace.Store.
func (db *DB) CreateWorkspace(ctx context.Context, owner uuid.UUID, name string, changes []workspace.Change, blobs []workspace.Blob,
	limits workspace.Limits) (workspace.Workspace, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return workspace.Workspace{}, err
	}
	var made workspace.Workspace
	err = db.tx(ctx, limitFor(len(changes), bytesOf(blobs)), func(ctx context.Context, t *txn) error {
		if _, err := t.LockOwner(ctx, owner); errors.Is(err, pgx.ErrNoRows) {
			return fault.Wrap(err, fault.NotFound, "No such account.")
		} else if err != nil {
			return err
		}
		count, err := t.CountWorkspaces(ctx, owner)
		if err != nil {
			return err
		}
		if count >= int64(limits.Workspaces) {
			return fault.New(fault.Exhausted, "You have %d workspaces, which is the limit. Delete one to make another.", count)
		}
		if err := t.InsertWorkspace(ctx, sqlcgen.InsertWorkspaceParams{ID: id, OwnerID: owner, Name: name}); err != nil {
			return err
		}
		if len(changes) > 0 {
			if _, err := db.apply(ctx, t, id, workspace.Author{UserID: owner}, changes, blobs, limits); err != nil {
				return err
			}
		}
		row, err := t.WorkspaceByID(ctx, id)
		if err != nil {
			return err
		}
		made = workspaceOf(row)
		return t.audit(ctx, audit.Event{Actor: owner, Action: "workspace.create", Object: "workspace:" + id.String(),
			Detail: map[string]string{"name": name}})
	})
	return made, err
}

// Workspace implements workspace.Store.
func (db *DB) Workspace(ctx context.Context, id uuid.UUID) (workspace.Workspace, error) {
	var row sqlcgen.Workspace
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.WorkspaceByID(ctx, id)
		return found(err, "No such workspace.")
	})
	return workspaceOf(row), err
}

// Workspaces implements workspace.Store.
func (db *DB) Workspaces(ctx context.Context, q workspace.ListQuery) ([]workspace.Workspace, string, error) {
	if q.Limit < 1 || q.Limit > 200 {
		return nil, "", fault.New(fault.Invalid, "A page has 1 to 200 workspaces.").On("limit")
	}
	at, id, err := readCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	var rows []sqlcgen.Workspace
	err = db.read(ctx, func(ctx context.Context, queries *sqlcgen.Queries) (err error) {
		// One more than asked for tells whether there is a next page.
		rows, err = queries.WorkspacePage(ctx, sqlcgen.WorkspacePageParams{OwnerID: q.Owner, BeforeAt: at, BeforeID: id, Page: int32(q.Limit) + 1})
		return err
	})
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		last := rows[q.Limit-1]
		next = cursorAt(last.ChangedAt, last.ID)
	}
	list := make([]workspace.Workspace, len(rows))
	for i, row := range rows {
		list[i] = workspaceOf(row)
	}
	return list, next, nil
}

// cursorAt returns a cursor for what comes after the workspace: the time of its change in microseconds, and its id.
func cursorAt(changed time.Time, id uuid.UUID) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(changed.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, id[:]...))
}

func readCursor(cursor string) (time.Time, uuid.UUID, error) {
	if cursor == "" {
		return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), uuid.Max, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	bad := fault.New(fault.Invalid, "This is no cursor of a page.").On("after")
	if err != nil || len(raw) != 8+16 {
		return time.Time{}, uuid.Nil, bad
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC()
	if at.Year() < 1 || at.Year() > 9999 {
		return time.Time{}, uuid.Nil, bad
	}
	return at, uuid.UUID(raw[8:]), nil
}

// RenameWorkspace implements workspace.Store.
func (db *DB) RenameWorkspace(ctx context.Context, id uuid.UUID, name string, by uuid.UUID) (workspace.Workspace, error) {
	var renamed workspace.Workspace
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		row, err := t.RenameWorkspace(ctx, sqlcgen.RenameWorkspaceParams{ID: id, Name: name})
		if err := found(err, "No such workspace."); err != nil {
			return err
		}
		renamed = workspaceOf(row)
		return t.audit(ctx, audit.Event{Actor: by, Action: "workspace.rename", Object: "workspace:" + id.String(),
			Detail: map[string]string{"name": name}})
	})
	return renamed, err
}

// DeleteWorkspace implements workspace.Store. Items, versions and sessions go with it; blobs stay, for others may have the
// same content.
func (db *DB) DeleteWorkspace(ctx context.Context, id uuid.UUID, by uuid.UUID) error {
	return db.tx(ctx, longLimit, func(ctx context.Context, t *txn) error {
		row, err := t.DeleteWorkspace(ctx, id)
		if err := found(err, "No such workspace."); err != nil {
			return err
		}
		return t.audit(ctx, audit.Event{Actor: by, Action: "workspace.delete", Object: "workspace:" + id.String(),
			Detail: map[string]string{"name": row.Name, "owner": row.OwnerID.String()}})
	})
}

// Totals implements workspace.Store.
func (db *DB) Totals(ctx context.Context, id uuid.UUID) (workspace.Totals, error) {
	var row sqlcgen.TotalsRow
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.Totals(ctx, id)
		return found(err, "No such workspace.")
	})
	return workspace.Totals{Items: int(row.ItemCount), Bytes: row.TotalBytes}, err
}

func workspaceOf(row sqlcgen.Workspace) workspace.Workspace {
	return workspace.Workspace{ID: row.ID, OwnerID: row.OwnerID, Name: row.Name, CreatedAt: row.CreatedAt, ChangedAt: row.ChangedAt}
}
