package workspace_test

import (
	"crypto/sha256"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// model is what a workspace should hold: a map from paths, and what each operation does to it, written as plainly as can be.
type model map[string]entry

type entry struct {
	folder     bool
	content    string
	executable bool
	version    int64
}

func (m model) parents(p string) (ok bool) {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		if e, there := m[up]; there && !e.folder {
			return false
		}
	}
	return true
}

func (m model) put(p string, e entry) {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		if _, there := m[up]; !there {
			m[up] = entry{folder: true}
		}
	}
	m[p] = e
}

func (m model) within(p string) []string {
	var out []string
	for other := range m {
		if other == p || strings.HasPrefix(other, p+"/") {
			out = append(out, other)
		}
	}
	return out
}

const noFault fault.Kind = -1

func kindOf(err error) fault.Kind {
	if err == nil {
		return noFault
	}
	return fault.KindOf(err)
}

func (m model) write(p, content string, executable *bool, ifVersion int64) fault.Kind {
	now, there := m[p]
	switch {
	case ifVersion != workspace.AnyVersion && ifVersion != now.version, !m.parents(p), there && now.folder:
		return fault.Conflict
	}
	if executable != nil {
		now.executable = *executable
	}
	now.content = content
	m.put(p, now)
	return noFault
}

func (m model) makeFolder(p string) fault.Kind {
	now, there := m[p]
	if there && !now.folder || !m.parents(p) {
		return fault.Conflict
	}
	if !there {
		m.put(p, entry{folder: true})
	}
	return noFault
}

func (m model) move(from, to string) fault.Kind {
	_, there := m[from]
	_, taken := m[to]
	switch {
	case !there:
		return fault.NotFound
	case from == to:
		return noFault
	case strings.HasPrefix(to, from+"/"):
		return fault.Invalid
	case taken || !m.parents(to):
		return fault.Conflict
	}
	for _, p := range m.within(from) {
		e := m[p]
		delete(m, p)
		m.put(to+strings.TrimPrefix(p, from), e)
	}
	return noFault
}

func (m model) remove(p string, ifVersion int64) fault.Kind {
	now, there := m[p]
	switch {
	case ifVersion != workspace.AnyVersion && ifVersion != now.version:
		return fault.Conflict
	case !there:
		return fault.NotFound
	}
	for _, below := range m.within(p) {
		delete(m, below)
	}
	return noFault
}

func TestF3_AWorkspaceIsATreeThatDoesWhatAModelDoes(t *testing.T) {
	b := newBench(t, workspace.DefaultLimits())
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		ws := b.create(t)
		m := model{}
		var newest int64
		drawPath := func(label string) string {
			names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "A", "b", "b.", "é"}), 1, 3).Draw(rt, label)
			return strings.Join(names, "/")
		}
		drawVersion := func(p string) int64 {
			return rapid.SampledFrom([]int64{workspace.AnyVersion, workspace.AnyVersion, 0, m[p].version, m[p].version, 9_999}).Draw(rt, "version")
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			p := drawPath("path")
			var want, got fault.Kind
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				content := rapid.SampledFrom([]string{"", "x", "y\r\n", "\x00"}).Draw(rt, "content")
				executable := rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(rt, "executable")
				v := drawVersion(p)
				_, err := b.Write(ctx, b.owner, ws, p, []byte(content), workspace.WriteOptions{IfVersion: v, Executable: executable})
				want, got = m.write(p, content, executable, v), kindOf(err)
			case 2:
				_, err := b.MakeFolder(ctx, b.owner, ws, p)
				want, got = m.makeFolder(p), kindOf(err)
			case 3, 4:
				to := drawPath("to")
				item, err := b.Move(ctx, b.owner, ws, p, to)
				want, got = m.move(p, to), kindOf(err)
				if err == nil && item.Path != to {
					rt.Fatalf("moved to %s, got %s", to, item.Path)
				}
			case 5:
				v := drawVersion(p)
				err := b.Remove(ctx, b.owner, ws, p, v)
				want, got = m.remove(p, v), kindOf(err)
			}
			if want != got {
				rt.Fatalf("want %v, got %v", want, got)
			}
			newest = compare(rt, b, ws, m, newest)
		}
		for p, e := range m {
			if e.folder {
				continue
			}
			if _, content, err := b.Read(ctx, b.owner, ws, p); err != nil || string(content) != e.content {
				rt.Fatalf("%s: want %q, got %q, %v", p, e.content, content, err)
			}
		}
	})
}

// compare checks the stored tree against the model, takes the new versions over into it, and returns the newest.
func compare(rt *rapid.T, b *bench, ws uuid.UUID, m model, newest int64) int64 {
	items, err := b.Tree(rt.Context(), b.owner, ws)
	if err != nil {
		rt.Fatal(err)
	}
	if !slices.IsSortedFunc(items, func(a, b workspace.Item) int { return strings.Compare(a.Path, b.Path) }) {
		rt.Fatalf("not in order: %v", paths(items))
	}
	if want := slices.Sorted(maps.Keys(m)); !slices.Equal(paths(items), want) {
		rt.Fatalf("want %v, got %v", want, paths(items))
	}
	latest := newest
	for _, item := range items {
		e := m[item.Path]
		wantHash := workspace.Hash{}
		if !e.folder {
			wantHash = b.HashOf(sha256.Sum256([]byte(e.content)))
		}
		if (item.Kind == workspace.Folder) != e.folder || item.Size != int64(len(e.content)) || item.Executable != e.executable ||
			item.Hash != wantHash {
			rt.Fatalf("%s: want %+v, got %+v", item.Path, e, item)
		}
		if up := path.Dir(item.Path); up != "." && !m[up].folder {
			rt.Fatalf("%s is in something that is no folder", item.Path)
		}
		if item.Version != e.version && item.Version <= newest {
			rt.Fatalf("%s has version %d, which is not after %d", item.Path, item.Version, newest)
		}
		latest = max(latest, item.Version)
		e.version = item.Version
		m[item.Path] = e
	}
	totals, err := b.store.Totals(rt.Context(), ws)
	if err != nil {
		rt.Fatal(err)
	}
	var bytes int64
	for _, e := range m {
		bytes += int64(len(e.content))
	}
	if totals != (workspace.Totals{Items: len(m), Bytes: bytes}) {
		rt.Fatalf("want totals of %d items and %d bytes, got %+v", len(m), bytes, totals)
	}
	return latest
}
