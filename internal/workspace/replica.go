package workspace

import (
	"context"
	"crypto/sha256"
	"io"
)

// Sum is the SHA-256 of a file's content. It is compared between the two sides of a sync and never stored: the database
// holds a keyed hash of it.
type Sum [32]byte

// SumOf returns the sum of content.
func SumOf(content []byte) Sum { return sha256.Sum256(content) }

// Entry is one thing in a replica's tree.
type Entry struct {
	Path       string // relative, slash separated, as ValidatePath allows; raw and unchecked when Problem is set
	Kind       Kind
	Executable bool
	Size       int64
	Sum        Sum    // of a file's content
	Target     string // of a link, as it stands in the link
	Problem    string // why it cannot be stored, in words for its owner; such an entry is shown as "not saved"
}

// Expect is what a replica must find at a path before it changes it, so that a change in the sandbox that the server has
// not seen is never overwritten. The zero value expects nothing there.
type Expect struct {
	Kind       Kind // empty: nothing there
	Sum        Sum
	Executable bool
	Target     string
	Any        bool // whatever is there
}

// Replica is the far side of a sync: the copy of a workspace's files in a sandbox. It is untrusted: its answers are
// bounded and checked by the implementation, and every call ends by the context's deadline. Paths are relative to the
// workspace's root. A change whose Expect does not hold is a Conflict.
type Replica interface {
	// Scan lists the whole tree, or only the named paths with all that is below them. A named path that does not exist
	// is simply not in the answer. It fails rather than return a part.
	Scan(ctx context.Context, paths []string) ([]Entry, error)
	// Read returns the content of a file, and fails with TooLarge beyond limit bytes.
	Read(ctx context.Context, path string, limit int64) ([]byte, error)
	// Put writes a file whole (temporary file and rename), making missing folders.
	Put(ctx context.Context, path string, content []byte, executable bool, expect Expect) error
	// MakeFolder makes a folder and missing parents; it succeeds when the folder exists.
	MakeFolder(ctx context.Context, path string) error
	// MakeLink makes a symbolic link. The target is not followed.
	MakeLink(ctx context.Context, path, target string, expect Expect) error
	// Remove removes a file, a link, or an empty folder.
	Remove(ctx context.Context, path string, expect Expect) error
	// Load unpacks many items in one stream into a new sandbox. next returns io.EOF after the last; what exists already
	// is left as it is.
	Load(ctx context.Context, next func() (Entry, io.Reader, error)) error
	// Watch calls changed with the paths that may have changed, batched, until the context ends or the connection is
	// lost. A nil slice means that anything may have changed. It calls it once with nil when it has begun to watch.
	Watch(ctx context.Context, changed func(paths []string)) error
}
