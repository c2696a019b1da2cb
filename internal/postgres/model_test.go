package postgres_test

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// model is what a workspace holds, kept in the simplest way: the text of each file by its path, and folders as "/".
type model map[string]string

const folder = "/"

func (m model) parents(p string) fault.Kind {
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		if v, ok := m[dir]; ok && v != folder {
			return fault.Conflict
		}
	}
	for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
		m[dir] = folder
	}
	return fault.Internal
}

func (m model) within(p string) []string {
	var found []string
	for other := range m {
		if other == p || strings.HasPrefix(other, p+"/") {
			found = append(found, other)
		}
	}
	return found
}

// change carries a change out, and returns the kind of fault that it must end with, Internal for none.
func (m model) change(c workspace.Change, text string) fault.Kind {
	old, there := m[c.Path]
	switch {
	case c.IfVersion == 0 && there:
		return fault.Conflict
	case c.Remove && !there, c.MoveTo != "" && !there:
		return fault.NotFound
	case c.Remove:
		if c.OnlyEmpty && len(m.within(c.Path)) > 1 {
			return fault.Conflict
		}
		for _, p := range m.within(c.Path) {
			delete(m, p)
		}
	case c.MoveTo == c.Path:
	case c.MoveTo != "":
		if strings.HasPrefix(c.MoveTo, c.Path+"/") {
			return fault.Invalid
		}
		if _, taken := m[c.MoveTo]; taken {
			return fault.Conflict
		}
		if kind := m.parents(c.MoveTo); kind != fault.Internal {
			return kind
		}
		for _, p := range m.within(c.Path) {
			m[c.MoveTo+p[len(c.Path):]] = m[p]
			delete(m, p)
		}
	case there && (old == folder) != (text == folder):
		return fault.Conflict
	default:
		if kind := m.parents(c.Path); kind != fault.Internal {
			return kind
		}
		m[c.Path] = text
	}
	return fault.Internal
}

func TestF3_AWorkspaceIsAlwaysWhatASimpleModelSays(t *testing.T) {
	b := newBench(t)
	state := model{}
	rapid.Check(t, func(t *rapid.T) {
		next := maps.Clone(state)
		var changes []workspace.Change
		var blobs []workspace.Blob
		want := fault.Internal
		drawPath := func() string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a-", "a0"}), 1, 3).Draw(t, "path"), "/")
		}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			c := workspace.Change{Path: drawPath(), IfVersion: rapid.SampledFrom([]int64{workspace.AnyVersion, 0}).Draw(t, "if")}
			text := ""
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				c.Remove, c.OnlyEmpty = true, rapid.Bool().Draw(t, "only empty")
			case 1:
				c.MoveTo = drawPath()
			case 2:
				text, c.Kind = folder, workspace.Folder
			default:
				text = fmt.Sprint("text ", rapid.IntRange(0, 5).Draw(t, "text"))
				file, blob := save(c.Path, text, c.IfVersion)
				c, blobs = file, append(blobs, blob)
			}
			changes = append(changes, c)
			if want = next.change(c, text); want != fault.Internal {
				break
			}
		}
		_, err := b.db.Apply(b.t.Context(), b.ws, workspace.Author{UserID: b.owner.ID}, changes, blobs, limits)
		switch {
		case want == fault.Internal && err != nil:
			t.Fatalf("want %+v to go through, got %v", changes, err)
		case want != fault.Internal && !fault.Is(err, want):
			t.Fatalf("want %+v to end with %v, got %v", changes, want, err)
		case err == nil:
			state = next
		}
		got := model{}
		items := b.items()
		for _, item := range items {
			got[item.Path] = folder
			if item.Kind == workspace.File {
				blob, err := b.db.Blob(b.t.Context(), item.Hash)
				if err != nil {
					t.Fatal(err)
				}
				got[item.Path] = strings.TrimPrefix(string(blob.Sealed), "sealed ")
			}
		}
		if !reflect.DeepEqual(got, state) {
			t.Fatalf("want %v, got %v", state, got)
		}
		if !slices.IsSortedFunc(items, func(x, y workspace.Item) int { return strings.Compare(x.Path, y.Path) }) {
			t.Fatalf("want the items in the order of their paths' bytes, got %v", items)
		}
		b.verify()
	})
}
