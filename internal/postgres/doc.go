// Package postgres keeps everything that must last: the stores of every domain on one PostgreSQL database, its migrations, and
// the typed queries that sqlc makes from queries/*.sql. It must never acknowledge a change that is not committed, never answer
// "no" where the database failed, and never put SQL or a value of a row into a fault's message.
package postgres

import (
	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/session"
	"vivarium/internal/workspace"
)

var (
	_ auth.Store      = (*DB)(nil)
	_ workspace.Store = (*DB)(nil)
	_ session.Store   = (*DB)(nil)
	_ audit.Store     = (*DB)(nil)
)
