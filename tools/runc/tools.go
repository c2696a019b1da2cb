//go:build tools

// Package tools pins the runc that the server runs its sandboxes with where gVisor is not wanted.
package tools

import _ "github.com/opencontainers/runc"
