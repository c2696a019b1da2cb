// Package workspace is a user's durable set of files: items, their versions and their content, and the three-way plan that
// brings a sandbox's copy and the stored one together. It must never lose an acknowledged save, and never delete because
// something was not seen.
package workspace

import (
	"time"

	"github.com/google/uuid"
)

// Kind is what an item is.
type Kind string

// The kinds of items.
const (
	File   Kind = "file"
	Folder Kind = "folder"
	Link   Kind = "link" // symbolic; stored as its target's text, never followed by the server
)

// Workspace is a named set of items with an owner.
type Workspace struct {
	ID        uuid.UUID
	OwnerID   uuid.UUID
	Name      string
	CreatedAt time.Time
	ChangedAt time.Time // the last change of an item or the name
}

// Item is a file, folder or link in a workspace, at its newest version.
type Item struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	Path        string
	Kind        Kind
	Executable  bool
	Size        int64  // bytes of content
	Version     int64  // the workspace's change counter at the item's last change: rises, and is never used again
	Hash        Hash   // keyed hash of a file's content; zero for others
	Target      string // of a link
	ChangedAt   time.Time
}

// Hash is the keyed hash of a file's content: HMAC-SHA-256 over its SHA-256 with a key of the installation. Equal content
// has equal hashes, and the hash tells nobody without the key what the content is.
type Hash [32]byte
