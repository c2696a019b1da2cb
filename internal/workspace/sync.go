package workspace

import (
	"context"
	"crypto/sha256"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"

	"vivarium/internal/fault"
)

// The methods of this file are for the sync of a session. They check no rights: the session has.

// SyncedChange is a change with the content of the file that it makes. Hash and Size are filled from Content.
type SyncedChange struct {
	Change
	Content []byte
}

// MaxTargetBytes is how long the target of a link may be: what Linux takes.
const MaxTargetBytes = 4095

// ValidateTarget decides what a link may point to: any text that Linux takes, as long as it can be shown. It is never followed
// by the server. The fault is Invalid, on "target".
func ValidateTarget(target string) error {
	invalid := func(message string) error { return fault.New(fault.Invalid, "%s", message).On("target") }
	switch {
	case target == "":
		return invalid("A link must have a target.")
	case len(target) > MaxTargetBytes:
		return invalid("The target of a link may have at most 4,095 bytes.")
	case !utf8.ValidString(target):
		return invalid("The target of a link must be UTF-8.")
	}
	for _, r := range target {
		if why := forbidden(r); why != "" {
			return invalid("The target of a link must not contain " + why + ".")
		}
	}
	return nil
}

// StoredAt returns the items at the paths and all that is below them, or all items when paths is nil.
func (s *Service) StoredAt(ctx context.Context, ws uuid.UUID, paths []string) ([]Item, error) {
	switch {
	case paths == nil:
		return s.cfg.Store.Items(ctx, ws)
	case len(paths) == 0:
		return nil, nil
	}
	return s.cfg.Store.ItemsAt(ctx, ws, paths)
}

// Content returns the content that a file of the workspace has or had.
func (s *Service) Content(ctx context.Context, ws uuid.UUID, h Hash) ([]byte, error) {
	blob, err := s.cfg.Store.Blob(ctx, h)
	if err != nil {
		return nil, err
	}
	content, err := s.cfg.Keys.Open(h, blob.Sealed)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "stored content does not open", "workspace", ws, "err", err)
		return nil, err
	}
	return content, nil
}

// ApplySynced makes the changes that a session's sandbox made, all or none, and returns what they did. The kinds of errors are
// those of Store.Apply; Invalid and TooLarge besides.
func (s *Service) ApplySynced(ctx context.Context, ws uuid.UUID, by Author, changes []SyncedChange) ([]Applied, error) {
	for i := range changes {
		if err := validateChange(&changes[i].Change); err != nil {
			return nil, err
		}
	}
	prepared, blobs, err := s.prepare(ctx, changes)
	if err != nil {
		return nil, err
	}
	var applied []Applied
	err = s.exclusively(ctx, ws, func() (events []Event, err error) {
		applied, events, err = s.apply(ctx, ws, by, prepared, blobs)
		return events, err
	})
	return applied, err
}

// validateChange checks again what comes from a sandbox, whoever has checked it before.
func validateChange(c *Change) error {
	if err := ValidatePath(c.Path); err != nil {
		return err
	}
	switch {
	case c.Remove:
		return nil
	case c.MoveTo != "":
		return validateOwn(c.MoveTo, "to")
	}
	if err := validateOwn(c.Path, "path"); err != nil {
		return err
	}
	switch c.Kind {
	case File, Folder:
		return nil
	case Link:
		return ValidateTarget(c.Target)
	}
	return fault.New(fault.Invalid, "There are only files, folders and links.").On("kind")
}

// HashOf returns the keyed hash of the content that has this sum.
func (s *Service) HashOf(sum Sum) Hash { return s.cfg.Keys.Hash(sum) }

// Base returns what the store and a session's sandbox had in common when they last agreed: at nil paths all of it, else at
// the paths and below.
func (s *Service) Base(ctx context.Context, session uuid.UUID, paths []string) ([]BaseItem, error) {
	if paths != nil && len(paths) == 0 {
		return nil, nil
	}
	return s.cfg.Store.Base(ctx, session, paths)
}

// SetBase changes what the store and a session's sandbox have in common.
func (s *Service) SetBase(ctx context.Context, session uuid.UUID, changes []BaseChange) error {
	if len(changes) == 0 {
		return nil
	}
	return s.cfg.Store.SetBase(ctx, session, changes)
}

// prepare fills the hashes and sizes, and seals the content that is not stored yet.
func (s *Service) prepare(ctx context.Context, changes []SyncedChange) ([]Change, []Blob, error) {
	out := make([]Change, len(changes))
	contents := map[Hash][]byte{}
	var hashes []Hash
	for i, c := range changes {
		out[i] = c.Change
		if c.Remove || c.MoveTo != "" || c.Kind != File {
			out[i].Executable = false // of links and folders it means something else
			continue
		}
		if int64(len(c.Content)) > s.cfg.Limits.FileBytes {
			return nil, nil, fault.New(fault.TooLarge, "A file may have at most %s.", inWords(s.cfg.Limits.FileBytes))
		}
		h := s.cfg.Keys.Hash(sha256.Sum256(c.Content))
		out[i].Hash, out[i].Size = h, int64(len(c.Content))
		if _, known := contents[h]; !known {
			contents[h] = c.Content
			hashes = append(hashes, h)
		}
	}
	if len(hashes) == 0 {
		return out, nil, nil
	}
	stored, err := s.cfg.Store.HasBlobs(ctx, hashes)
	if err != nil {
		return nil, nil, err
	}
	var blobs []Blob
	for _, h := range hashes {
		if stored[h] {
			continue
		}
		sealed, err := s.cfg.Keys.Seal(h, contents[h])
		if err != nil {
			return nil, nil, err
		}
		blobs = append(blobs, Blob{Hash: h, Size: int64(len(contents[h])), Sealed: sealed})
	}
	return out, blobs, nil
}

// inWords writes a number of bytes as a person would.
func inWords(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size && n%unit.size == 0 {
			return fmt.Sprintf("%d %s", n/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
