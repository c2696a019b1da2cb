package workspace

import (
	"context"

	"github.com/google/uuid"
)

// Author is who made a change: a person through the API, or a process of a session. Both may be set: the person whose
// session it was.
type Author struct {
	UserID    uuid.UUID
	SessionID uuid.UUID // zero when it came through the API
}

// AnyVersion as a Change's IfVersion means: whatever is there.
const AnyVersion int64 = -1

// Change is one change of one item. The store applies a list of them in order and in one transaction, all or none.
type Change struct {
	Path string
	// IfVersion is the version that must be there: 0 for nothing, AnyVersion for whatever is there. Otherwise a VersionConflict.
	IfVersion int64

	// Remove removes the item, with everything below it when it is a folder. NotFound when there is nothing.
	Remove bool
	// OnlyEmpty, with Remove, refuses to remove a folder that something is in (Conflict).
	OnlyEmpty bool
	// MoveTo moves the item, with everything below it, to this free path. Missing folders above it are made. Conflict when it is
	// not free; Invalid when it is in the item itself, or when something below would get a path that ValidatePath refuses.
	MoveTo string

	// Otherwise the item is made or replaced by this. Missing folders above it are made. A folder that exists is left as it
	// is; a file or link cannot replace a folder, nor the reverse (Conflict).
	Kind       Kind
	Executable bool
	Size       int64
	Hash       Hash   // of a file's content; its blob must be stored, or be among the blobs given with the changes
	Target     string // of a link
}

// Blob is the encrypted content of a file.
type Blob struct {
	Hash   Hash
	Size   int64  // of the content, in bytes
	Sealed []byte // ciphertext, bound to Hash by its associated data
}

// Applied is what a Change did. Order is that of the commit.
type Applied struct {
	Item    *Item  // made or changed: its newest state
	Removed string // path that is gone, with everything below it
	Moved   *Moved
}

// Moved says that a path, with everything below it, is now elsewhere.
type Moved struct{ From, To string }

// Totals are what a workspace holds.
type Totals struct {
	Items int
	Bytes int64
}

// Limits bound what is stored.
type Limits struct {
	FileBytes      int64 // of one file
	WorkspaceBytes int64 // of all newest versions in a workspace
	Items          int   // in a workspace
	Workspaces     int   // of one owner
}

// ListQuery is one page of an owner's workspaces, the last changed first.
type ListQuery struct {
	Owner uuid.UUID
	After string // cursor from the page before; empty for the first
	Limit int    // 1 to 200
}

// BaseItem is an item as it was in both the store and a session's sandbox when they last agreed.
type BaseItem struct {
	Path       string
	Kind       Kind
	Executable bool
	Hash       Hash
	Target     string
}

// BaseChange sets or forgets one base item.
type BaseChange struct {
	BaseItem
	Forget bool // only Path is set
}

// Store keeps workspaces, items, versions, blobs and sync bases. Each Item's Version is the workspace's change counter at
// that change: unique in the workspace, rising, never used again, also after a delete. Writers of one workspace are
// serialised by its row. Each method is one transaction.
type Store interface {
	// CreateWorkspace makes a workspace with its first items; Exhausted beyond limits.Workspaces.
	CreateWorkspace(ctx context.Context, owner uuid.UUID, name string, changes []Change, blobs []Blob, limits Limits) (Workspace, error)
	// Workspace finds a workspace that is not deleted; NotFound.
	Workspace(ctx context.Context, id uuid.UUID) (Workspace, error)
	// Workspaces returns one page and the cursor of the next, empty after the last. Invalid for a bad cursor.
	Workspaces(ctx context.Context, q ListQuery) ([]Workspace, string, error)
	RenameWorkspace(ctx context.Context, id uuid.UUID, name string, by uuid.UUID) (Workspace, error)
	// DeleteWorkspace removes the workspace with its items and versions; NotFound.
	DeleteWorkspace(ctx context.Context, id uuid.UUID, by uuid.UUID) error

	// Apply makes the changes, writes a version for each, and returns what happened. Exhausted when a limit would be
	// exceeded; Conflict as each Change says. Nothing is changed after an error. A change that changes nothing (same kind,
	// mode, hash and target) is not a new version and its Applied holds the item as it is.
	Apply(ctx context.Context, id uuid.UUID, by Author, changes []Change, blobs []Blob, limits Limits) ([]Applied, error)
	// Items returns all items ordered by path.
	Items(ctx context.Context, id uuid.UUID) ([]Item, error)
	// ItemsAt returns the items at the paths and all that is below them, ordered by path.
	ItemsAt(ctx context.Context, id uuid.UUID, paths []string) ([]Item, error)
	// Item finds one item; NotFound.
	Item(ctx context.Context, id uuid.UUID, path string) (Item, error)
	Totals(ctx context.Context, id uuid.UUID) (Totals, error)
	// HasBlobs reports which of the hashes are stored.
	HasBlobs(ctx context.Context, hashes []Hash) (map[Hash]bool, error)
	// Blob returns a stored blob; NotFound.
	Blob(ctx context.Context, h Hash) (Blob, error)

	// Base returns the sync base of a session; at nil paths all of it, else the paths and all that is below them.
	Base(ctx context.Context, session uuid.UUID, paths []string) ([]BaseItem, error)
	// SetBase changes the sync base of a session.
	SetBase(ctx context.Context, session uuid.UUID, changes []BaseChange) error
}
