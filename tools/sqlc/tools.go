//go:build tools

// Package tools pins the generator of the typed queries in internal/postgres.
package tools

import _ "github.com/sqlc-dev/sqlc/cmd/sqlc"
