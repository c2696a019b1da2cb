package postgres

import (
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
	"vivarium/internal/workspace"
)

// edit carries a list of changes out in memory, under the lock of the workspace's row, and notes what must be written. So ten
// thousand changes take as many round trips as one.
type edit struct {
	workspace uuid.UUID
	now       time.Time // of the database
	limits    workspace.Limits
	blobs     map[workspace.Hash]int64 // sizes of the contents that are stored or given

	seq   int64
	items int
	bytes int64
	tree  *tree

	dirty    map[*node]struct{} // made or changed, and still there
	gone     []uuid.UUID        // rows to delete
	versions sqlcgen.InsertVersionsParams
	used     map[workspace.Hash]struct{} // contents of new versions
	applied  []workspace.Applied
}

var errUnknownBlob = errors.New("postgres: a change names content that is neither stored nor given, or has another size")

// change carries one change out.
func (e *edit) change(c workspace.Change) error {
	n := e.tree.nodes[c.Path]
	if c.IfVersion != workspace.AnyVersion {
		switch {
		case n == nil && c.IfVersion != 0:
			return &workspace.VersionConflict{}
		case n != nil && c.IfVersion != n.Version:
			current := n.Item
			return &workspace.VersionConflict{Current: &current}
		}
	}
	switch {
	case c.Remove || c.MoveTo != "":
		if n == nil {
			return fault.New(fault.NotFound, "There is nothing at this path.")
		}
		if c.Remove {
			return e.remove(n, c.OnlyEmpty)
		}
		return e.move(n, c.MoveTo)
	case n != nil:
		return e.replace(n, c)
	default:
		return e.create(c)
	}
}

func (e *edit) remove(n *node, onlyEmpty bool) error {
	removed := e.tree.within(n)
	if onlyEmpty && len(removed) > 1 {
		return fault.New(fault.Conflict, "There is something in this folder.").On("path")
	}
	for _, one := range removed {
		e.note(one, true, "")
		e.tree.drop(one)
		delete(e.dirty, one)
		e.items--
		e.bytes -= one.Size
		if one.stored {
			e.gone = append(e.gone, one.ID)
		}
	}
	e.applied = append(e.applied, workspace.Applied{Removed: n.Path})
	return nil
}

func (e *edit) move(n *node, to string) error {
	from := n.Path
	switch {
	case to == from:
		e.did(n)
		return nil
	case strings.HasPrefix(to, from+"/"):
		return fault.New(fault.Invalid, "A folder cannot be moved into itself.").On("to")
	case e.tree.nodes[to] != nil:
		return fault.New(fault.Conflict, "There is something at the new path already.").On("to")
	}
	if err := e.makeFolders(to); err != nil {
		return err
	}
	moved := e.tree.within(n)
	for _, one := range moved {
		path := to + one.Path[len(from):]
		if one != n {
			if err := workspace.ValidatePath(path); err != nil {
				return fault.Wrap(err, fault.Invalid, "Something in the folder would have a path that is too long or too deep.").On("to")
			}
		}
	}
	for _, one := range moved {
		old := one.Path
		e.tree.drop(one)
		one.Path = to + old[len(from):]
		e.tree.add(one)
		e.note(one, false, old)
	}
	e.applied = append(e.applied, workspace.Applied{Moved: &workspace.Moved{From: from, To: to}})
	return nil
}

func (e *edit) replace(n *node, c workspace.Change) error {
	want, err := e.item(c)
	switch {
	case err != nil:
		return err
	case n.Kind == workspace.Folder && c.Kind != workspace.Folder:
		return fault.New(fault.Conflict, "There is a folder at this path.").On("path")
	case n.Kind != workspace.Folder && c.Kind == workspace.Folder:
		return fault.New(fault.Conflict, "There is something at this path already that is no folder.").On("path")
	case n.Kind == want.Kind && n.Executable == want.Executable && n.Hash == want.Hash && n.Target == want.Target:
		e.did(n)
		return nil
	}
	e.bytes += want.Size - n.Size
	n.Kind, n.Executable, n.Size, n.Hash, n.Target = want.Kind, want.Executable, want.Size, want.Hash, want.Target
	e.note(n, false, "")
	e.did(n)
	return nil
}

func (e *edit) create(c workspace.Change) error {
	item, err := e.item(c)
	if err != nil {
		return err
	}
	if err := e.makeFolders(c.Path); err != nil {
		return err
	}
	return e.make(item)
}

// item returns what a change wants at its path.
func (e *edit) item(c workspace.Change) (workspace.Item, error) {
	item := workspace.Item{WorkspaceID: e.workspace, Path: c.Path, Kind: c.Kind}
	switch c.Kind {
	case workspace.File:
		if c.Size > e.limits.FileBytes {
			return item, fault.New(fault.TooLarge, "The file has %s. A file may have at most %s.", sizeText(c.Size), sizeText(e.limits.FileBytes))
		}
		if size, known := e.blobs[c.Hash]; !known || size != c.Size {
			return item, errUnknownBlob
		}
		item.Executable, item.Size, item.Hash = c.Executable, c.Size, c.Hash
	case workspace.Link:
		if c.Target == "" || len(c.Target) > maxTarget {
			return item, fault.New(fault.Invalid, "A link's target has 1 to 4,096 bytes.").On("target")
		}
		item.Target = c.Target
	case workspace.Folder:
	default:
		return item, fault.New(fault.Invalid, "An item is a file, a folder or a link.").On("kind")
	}
	return item, nil
}

// maxTarget is how long a link's target may be in bytes, as in Linux.
const maxTarget = 4096

func (e *edit) makeFolders(p string) error {
	for _, dir := range above(p) {
		n := e.tree.nodes[dir]
		switch {
		case n == nil:
			if err := e.make(workspace.Item{WorkspaceID: e.workspace, Path: dir, Kind: workspace.Folder}); err != nil {
				return err
			}
		case n.Kind != workspace.Folder:
			return fault.New(fault.Conflict, "What is above this path is a file, not a folder.").On("path")
		}
	}
	return nil
}

func (e *edit) make(item workspace.Item) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	item.ID = id
	n := &node{Item: item}
	e.tree.add(n)
	e.items++
	e.bytes += item.Size
	e.note(n, false, "")
	e.did(n)
	return nil
}

// did adds the item as it is now to what was applied.
func (e *edit) did(n *node) {
	item := n.Item
	e.applied = append(e.applied, workspace.Applied{Item: &item})
}

// note writes down a new version of an item.
func (e *edit) note(n *node, removed bool, movedFrom string) {
	e.seq++
	n.Version = e.seq
	n.ChangedAt = e.now
	if !removed {
		e.dirty[n] = struct{}{}
	}
	if n.Kind == workspace.File {
		e.used[n.Hash] = struct{}{}
	}
	v := &e.versions
	v.Versions = append(v.Versions, n.Version)
	v.ItemIds = append(v.ItemIds, n.ID)
	v.Paths = append(v.Paths, n.Path)
	v.Kinds = append(v.Kinds, string(n.Kind))
	v.Executables = append(v.Executables, n.Executable)
	v.Sizes = append(v.Sizes, n.Size)
	v.Hashes = append(v.Hashes, hashBytes(n.Kind, n.Hash))
	v.Targets = append(v.Targets, n.Target)
	v.Removed = append(v.Removed, removed)
	v.MovedFrom = append(v.MovedFrom, movedFrom)
}
