//go:build tools

// Package tools pins the gVisor runtime that the server runs its sandboxes with.
package tools

import _ "gvisor.dev/gvisor/runsc"
