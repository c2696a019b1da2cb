// Package agentproto is the wire between the server and the agent in a sandbox: names, JSON shapes, frames and the
// multiplexer's settings, shared by both binaries and described in docs/protocol.md. It does no work of its own. Each side
// takes the other for hostile: nothing here may allocate by a length that the far side names, or panic on what it sends.
package agentproto

import (
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

const (
	// Version is the protocol's; a server refuses an agent with another.
	Version = 1
	// Socket is the abstract Unix socket that bridges connect to.
	Socket = "@vivarium-agent"
	// Upgrade is the protocol that an attachment switches to.
	Upgrade = "vivarium-pty/1"
	// MaxTerminals is how many terminals an agent holds, ended ones included.
	MaxTerminals = 16
	// ReservedPrefix begins the names of the agent's temporary files. They are hidden from scans and watching.
	ReservedPrefix = ".vivarium-tmp-"
	// SumHeader carries the hexadecimal SHA-256 of a file's content in an answer.
	SumHeader = "Vivarium-Sum"
	// SeqHeader carries the sequence number at which an attachment starts.
	SeqHeader = "Vivarium-Seq"

	// MaxLine bounds one line of a streamed JSON answer, in bytes: a path and a target of 4 KiB each, escaped.
	MaxLine = 64 << 10
	// MaxWatchPaths is how many paths one line of a watch may name; more is sent as "all".
	MaxWatchPaths = 256
	// MaxDepth is how deep a scan goes; what is deeper is reported as a problem.
	MaxDepth = 32
)

// Mux returns the settings of yamux that both sides use. Without keep-alive and with a long write time-out a paused
// sandbox is not declared dead; the window bounds what one stream may queue.
func Mux() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = false
	c.ConnectionWriteTimeout = 60 * time.Second
	c.MaxStreamWindowSize = 256 << 10
	c.StreamCloseTimeout = 30 * time.Second
	c.LogOutput = io.Discard
	return c
}

// Hello is the answer to GET /v1/hello.
type Hello struct {
	Version  string `json:"version"`
	Protocol int    `json:"protocol"`
	Kernel   string `json:"kernel"` // /proc/version
	Boot     string `json:"boot"`   // random, of this agent process
}

// Kind is what an error means for the caller.
type Kind string

// The kinds of errors, in the words of package fault.
const (
	Internal    Kind = "internal"
	Invalid     Kind = "invalid"
	NotFound    Kind = "not found"
	Conflict    Kind = "conflict"
	Forbidden   Kind = "forbidden"
	Exhausted   Kind = "exhausted"
	TooLarge    Kind = "too large"
	Unavailable Kind = "unavailable"
)

// Error is the body of every answer that is not a success.
type Error struct {
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

var statuses = map[Kind]int{Internal: 500, Invalid: 422, NotFound: 404, Conflict: 409, Forbidden: 403, Exhausted: 429,
	TooLarge: 413, Unavailable: 503}

// Status returns the HTTP status that the error is sent with.
func (e *Error) Status() int {
	if status, ok := statuses[e.Kind]; ok {
		return status
	}
	return 500
}
