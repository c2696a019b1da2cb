package workspace

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

// WriteOptions say what a save expects and how the file is to be.
type WriteOptions struct {
	// IfVersion is the version that must be there: 0 for nothing, AnyVersion for whatever is there.
	IfVersion int64
	// Executable is the file's mode; nil keeps the one it has, which for a new file is false.
	Executable *bool
}

// Tree returns all items of a workspace, ordered by path.
func (s *Service) Tree(ctx context.Context, p auth.Principal, ws uuid.UUID) ([]Item, error) {
	if _, err := s.Get(ctx, p, ws); err != nil {
		return nil, err
	}
	return s.cfg.Store.Items(ctx, ws)
}

// Stat returns one item; NotFound.
func (s *Service) Stat(ctx context.Context, p auth.Principal, ws uuid.UUID, path string) (Item, error) {
	if err := ValidatePath(path); err != nil {
		return Item{}, err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return Item{}, err
	}
	return s.cfg.Store.Item(ctx, ws, path)
}

// Read returns a file with its content. NotFound; Invalid for what is not a file.
func (s *Service) Read(ctx context.Context, p auth.Principal, ws uuid.UUID, path string) (Item, []byte, error) {
	item, err := s.Stat(ctx, p, ws, path)
	if err != nil {
		return Item{}, nil, err
	}
	if item.Kind != File {
		return Item{}, nil, invalidPath("This is a %s, and only files have content.", item.Kind)
	}
	content, err := s.Content(ctx, ws, item.Hash)
	return item, content, err
}

// Write saves a file. Its error is a VersionConflict when something else is there than expected, TooLarge or Exhausted when a
// limit is exceeded, Invalid on "path".
func (s *Service) Write(ctx context.Context, p auth.Principal, ws uuid.UUID, path string, content []byte,
	o WriteOptions) (Item, error) {
	if err := validateOwn(path, "path"); err != nil {
		return Item{}, err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return Item{}, err
	}
	changes, blobs, err := s.prepare(ctx, []SyncedChange{{Content: content,
		Change: Change{Path: path, IfVersion: o.IfVersion, Kind: File}}})
	if err != nil {
		return Item{}, err
	}
	return s.applyOne(ctx, p, ws, path, blobs, func() (Change, error) {
		change := changes[0]
		if o.Executable != nil {
			change.Executable = *o.Executable
			return change, nil
		}
		now, err := s.cfg.Store.Item(ctx, ws, path)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return Change{}, err
		}
		change.Executable = now.Executable
		return change, nil
	})
}

// MakeFolder makes a folder and the missing ones above it. It succeeds when the folder is there; Conflict when something else
// is.
func (s *Service) MakeFolder(ctx context.Context, p auth.Principal, ws uuid.UUID, path string) (Item, error) {
	if err := validateOwn(path, "path"); err != nil {
		return Item{}, err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return Item{}, err
	}
	return s.applyOne(ctx, p, ws, path, nil, func() (Change, error) {
		return Change{Path: path, IfVersion: AnyVersion, Kind: Folder}, nil
	})
}

// Move moves an item, with everything below it, to a free path. NotFound; Conflict when the path is not free; Invalid on "to"
// when it is in the item itself, or when something below the item would get too long or too deep a path.
func (s *Service) Move(ctx context.Context, p auth.Principal, ws uuid.UUID, from, to string) (Item, error) {
	if err := ValidatePath(from); err != nil {
		return Item{}, on(err, "from")
	}
	if err := validateOwn(to, "to"); err != nil {
		return Item{}, err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return Item{}, err
	}
	if from == to {
		return s.cfg.Store.Item(ctx, ws, from)
	}
	return s.applyOne(ctx, p, ws, to, nil, func() (Change, error) {
		return Change{Path: from, IfVersion: AnyVersion, MoveTo: to}, nil
	})
}

// Remove removes an item, with everything below it. NotFound; a VersionConflict when ifVersion, which may be AnyVersion, is not
// what is there.
func (s *Service) Remove(ctx context.Context, p auth.Principal, ws uuid.UUID, path string, ifVersion int64) error {
	if err := ValidatePath(path); err != nil {
		return err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return err
	}
	return s.exclusively(ctx, ws, func() ([]Event, error) {
		_, events, err := s.apply(ctx, ws, Author{UserID: p.UserID}, []Change{{Path: path, IfVersion: ifVersion, Remove: true}}, nil)
		return events, err
	})
}

// validateOwn is ValidatePath for what a person makes: it also refuses what would not be stored if a program made it.
func validateOwn(path, field string) error {
	if err := ValidatePath(path); err != nil {
		return on(err, field)
	}
	if Ignored(path) {
		return fault.New(fault.Invalid, "Caches are not stored: no part of a path may be one of %s.",
			strings.Join(ignoredNames[:], ", ")).On(field)
	}
	return nil
}

// on names the field of an Invalid fault.
func on(err error, field string) error {
	if f, ok := err.(*fault.Error); ok {
		return f.On(field)
	}
	return err
}

// applyOne makes one change of a person's and returns the item that is at the path then.
func (s *Service) applyOne(ctx context.Context, p auth.Principal, ws uuid.UUID, path string, blobs []Blob,
	change func() (Change, error)) (Item, error) {
	var item Item
	err := s.exclusively(ctx, ws, func() ([]Event, error) {
		one, err := change()
		if err != nil {
			return nil, err
		}
		applied, events, err := s.apply(ctx, ws, Author{UserID: p.UserID}, []Change{one}, blobs)
		if err != nil {
			return nil, err
		}
		for _, a := range applied {
			if a.Item != nil && a.Item.Path == path {
				item = *a.Item
				return events, nil
			}
		}
		item, err = s.cfg.Store.Item(ctx, ws, path) // moved
		return events, err
	})
	return item, err
}

// apply makes changes, and returns what they did and what to tell the watchers. The caller holds the workspace's lock.
func (s *Service) apply(ctx context.Context, ws uuid.UUID, by Author, changes []Change, blobs []Blob) ([]Applied, []Event, error) {
	applied, err := s.cfg.Store.Apply(ctx, ws, by, changes, blobs, s.cfg.Limits)
	if err != nil {
		return nil, nil, err
	}
	events := make([]Event, 0, len(applied))
	for _, a := range applied {
		events = append(events, Event{Applied: a, By: by})
	}
	return applied, events, nil
}
