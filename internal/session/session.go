// Package session is the use case at the heart of the product: a person at work in a workspace. It starts a sandbox when
// something needs one, keeps the connection to its agent, brings files to and fro, and explains how a session ended. It
// must never end a session before its files are stored, nor touch a sandbox that is not of this installation.
package session

import (
	"context"
	"io"
	"time"

	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// Agent is a connection to the agent of one sandbox. Everything it says is checked by the implementation.
type Agent interface {
	workspace.Replica
	OpenTerminal(ctx context.Context, o terminal.Options) (terminal.State, error)
	Terminals(ctx context.Context) ([]terminal.State, error)
	CloseTerminal(ctx context.Context, id string) error
	Attach(ctx context.Context, id string, o terminal.AttachOptions) (terminal.Attachment, error)
	// Done is closed when the connection is lost.
	Done() <-chan struct{}
	Close() error
}

// Connect makes an Agent of a byte stream that a driver dialled. It closes the stream when it fails.
type Connect func(ctx context.Context, stream io.ReadWriteCloser) (Agent, error)

// NotSaved is something in a sandbox that the workspace does not store, or that is stored differently. Path "." means all
// of it.
type NotSaved struct {
	Path   string
	Reason string
	Size   int64
}

// Conflict says that both sides changed Path and that the sandbox's version was kept as Copy.
type Conflict struct {
	Path string
	Copy string
}

// View is what there is to know about a workspace's session at one moment.
type View struct {
	Session   *Session // the live one, else the last one; nil when there was none
	Terminals []terminal.State
	NotSaved  []NotSaved
	Conflicts []Conflict // of this session, oldest first
	Usage     *Usage     // nil while nothing is known, and after the end
	Notices   []Notice   // limits that have bitten, oldest first
	EndsAt    *time.Time // when it ends by its age; nil while that is far
}
