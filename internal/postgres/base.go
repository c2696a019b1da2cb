package postgres

import (
	"context"

	"github.com/google/uuid"

	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/workspace"
)

// Base implements workspace.Store.
func (db *DB) Base(ctx context.Context, session uuid.UUID, paths []string) ([]workspace.BaseItem, error) {
	var items []workspace.BaseItem
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) error {
		items = nil
		add := func(row sqlcgen.BaseRow) {
			items = append(items, workspace.BaseItem{Path: row.Path, Kind: workspace.Kind(row.Kind), Executable: row.Executable,
				Hash: hashOf(row.Hash), Target: row.Target})
		}
		if paths == nil {
			rows, err := q.Base(ctx, session)
			for _, row := range rows {
				add(row)
			}
			return err
		}
		rows, err := q.BaseAt(ctx, sqlcgen.BaseAtParams{SessionID: session, Paths: paths})
		for _, row := range rows {
			add(sqlcgen.BaseRow(row))
		}
		return err
	})
	return items, err
}

// SetBase implements workspace.Store. It is Conflict for a session that has ended or that another server has taken over.
func (db *DB) SetBase(ctx context.Context, session uuid.UUID, changes []workspace.BaseChange) error {
	if len(changes) == 0 {
		return nil
	}
	// The last change of a path wins, and one statement may name a path only once.
	last := make(map[string]int, len(changes))
	for i, c := range changes {
		last[c.Path] = i
	}
	set := sqlcgen.SetBaseParams{SessionID: session}
	var forget []string
	for i, c := range changes {
		switch {
		case last[c.Path] != i:
		case c.Forget:
			forget = append(forget, c.Path)
		default:
			set.Paths = append(set.Paths, c.Path)
			set.Kinds = append(set.Kinds, string(c.Kind))
			set.Executables = append(set.Executables, c.Executable)
			set.Hashes = append(set.Hashes, hashBytes(c.Kind, c.Hash))
			set.Targets = append(set.Targets, c.Target)
		}
	}
	return db.tx(ctx, limitFor(len(changes), 0), func(ctx context.Context, t *txn) error {
		if err := db.fence(ctx, t, session); err != nil {
			return err
		}
		send := newPipeline()
		if len(set.Paths) > 0 {
			send.queue(func(q *sqlcgen.Queries) error { return q.SetBase(ctx, set) })
		}
		if len(forget) > 0 {
			send.queue(func(q *sqlcgen.Queries) error {
				return q.ForgetBase(ctx, sqlcgen.ForgetBaseParams{SessionID: session, Paths: forget})
			})
		}
		return send.run(ctx, t)
	})
}
