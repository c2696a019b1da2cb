package workspace

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tree is a side of a sync in a test: path → what is there. Every path's folders are in it.
type tree map[string]node

func (t tree) put(p string, n node) {
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		t[up] = node{kind: Folder}
	}
	if n.kind != Folder {
		t.remove(p)
	}
	t[p] = n
}

func (t tree) remove(p string) {
	for other := range t {
		if other == p || strings.HasPrefix(other, p+"/") {
			delete(t, other)
		}
	}
}

func (t tree) items() []Item {
	var out []Item
	for _, p := range slices.Sorted(maps.Keys(t)) {
		n := t[p]
		out = append(out, Item{Path: p, Kind: n.kind, Executable: n.executable, Hash: n.hash, Target: n.target})
	}
	return out
}

func (t tree) seen() []Seen {
	var out []Seen
	for _, p := range slices.Sorted(maps.Keys(t)) {
		n := t[p]
		out = append(out, Seen{Entry: Entry{Path: p, Kind: n.kind, Executable: n.executable, Target: n.target}, Hash: n.hash})
	}
	return out
}

func (t tree) base() []BaseItem {
	var out []BaseItem
	for p, n := range t {
		out = append(out, BaseItem{Path: p, Kind: n.kind, Executable: n.executable, Hash: n.hash, Target: n.target})
	}
	return out
}

func nodeOfItem(i *Item) node { return node{i.Kind, i.Executable, i.Hash, i.Target} }
func nodeOfSeen(s *Seen) node { return node{s.Kind, s.Executable, s.Hash, s.Target} }

// execute carries a plan out on two trees, strictly: a step that would destroy something it does not name fails the test.
func execute(t *rapid.T, actions []Action, ours, theirs tree) {
	for _, a := range actions {
		switch a.Op {
		case CopyTheirs:
			if _, taken := ours[a.CopyTo]; taken {
				t.Fatalf("copy of %s over %s", a.Path, a.CopyTo)
			}
			ours.put(a.CopyTo, nodeOfSeen(a.Theirs))
			theirs.put(a.CopyTo, nodeOfSeen(a.Theirs))
		case MoveOurs:
			moved := nodeOfItem(a.Ours)
			delete(ours, a.Path)
			ours.put(a.CopyTo, moved)
			theirs.put(a.CopyTo, moved)
		}
	}
	apply := func(side tree, a Action, to *node) {
		if now, ok := side[a.Path]; ok && (to == nil || now.kind == Folder != (to.kind == Folder)) {
			if now.kind == Folder {
				for other := range side {
					if strings.HasPrefix(other, a.Path+"/") {
						t.Fatalf("%v of %s removes %s, which it does not name", a.Op, a.Path, other)
					}
				}
			}
			delete(side, a.Path)
		}
	}
	// Removals first, the deepest first; then what is made, folders before what is in them.
	for _, a := range slices.Backward(actions) {
		switch a.Op {
		case Pull, MoveOurs:
			apply(ours, a, nodePtr(a.Theirs, nodeOfSeen))
		case Push, CopyTheirs:
			apply(theirs, a, nodePtr(a.Ours, nodeOfItem))
		}
	}
	for _, a := range actions {
		switch {
		case (a.Op == Pull || a.Op == MoveOurs) && a.Theirs != nil:
			ours.put(a.Path, nodeOfSeen(a.Theirs))
		case (a.Op == Push || a.Op == CopyTheirs) && a.Ours != nil:
			theirs.put(a.Path, nodeOfItem(a.Ours))
		}
	}
}

func nodePtr[T any](v *T, of func(*T) node) *node {
	if v == nil {
		return nil
	}
	n := of(v)
	return &n
}

var testNames = []string{"a", "b", "c"}

func drawPath(t *rapid.T) string {
	depth := rapid.IntRange(1, 3).Draw(t, "depth")
	var parts []string
	for range depth {
		parts = append(parts, rapid.SampledFrom(testNames).Draw(t, "name"))
	}
	return strings.Join(parts, "/")
}

// mutate makes one random change and returns the content that it made, if any.
func mutate(t *rapid.T, side tree, serial *int) (made node, at string) {
	p := drawPath(t)
	for up := path.Dir(p); up != "."; up = path.Dir(up) {
		if side[up].leaf() {
			return node{}, ""
		}
	}
	switch rapid.IntRange(0, 4).Draw(t, "what") {
	case 0:
		side.remove(p)
	case 1:
		if !side[p].leaf() {
			side.put(p, node{kind: Folder})
		}
	case 2:
		*serial++
		n := node{kind: Link, target: fmt.Sprint("t", *serial)}
		side.put(p, n)
		return n, p
	default:
		*serial++
		n := node{kind: File, executable: rapid.Bool().Draw(t, "x")}
		n.hash[0], n.hash[1] = byte(*serial), byte(*serial>>8)
		side.put(p, n)
		return n, p
	}
	return node{}, ""
}

func TestF9_APlanMakesBothSidesEqualAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		serial := 0
		base := tree{}
		for range rapid.IntRange(0, 8).Draw(t, "start") {
			mutate(t, base, &serial)
		}
		ours, theirs := maps.Clone(base), maps.Clone(base)
		changed := map[node]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "changes") {
			side := ours
			if rapid.Bool().Draw(t, "theirs") {
				side = theirs
			}
			mutate(t, side, &serial)
		}
		// What a side made since the base and still has must be found on both sides afterwards.
		for _, side := range []tree{ours, theirs} {
			for p, n := range side {
				if n.leaf() && base[p] != n {
					changed[n] = true
				}
			}
		}
		gone := map[string]bool{}
		for p, n := range base {
			if ours[p] == (node{}) && theirs[p] == n || theirs[p] == (node{}) && ours[p] == n || ours[p] == (node{}) && theirs[p] == (node{}) {
				gone[p] = n.leaf()
			}
		}

		actions := Plan(base.base(), ours.items(), theirs.seen(), time.Unix(0, 0))
		execute(t, actions, ours, theirs)

		if !maps.Equal(ours, theirs) {
			t.Fatalf("the sides differ\nours   %v\ntheirs %v\nplan   %+v", ours, theirs, actions)
		}
		left := map[node]bool{}
		for _, n := range ours {
			left[n] = true
		}
		for n := range changed {
			if !left[n] {
				t.Fatalf("lost %v; plan %+v", n, actions)
			}
		}
		for p, leaf := range gone {
			if n, back := ours[p]; leaf && back && n == base[p] {
				t.Fatalf("%s was removed by one side and came back unchanged", p)
			}
		}
		if again := Plan(ours.base(), ours.items(), theirs.seen(), time.Unix(0, 0)); len(again) != 0 {
			t.Fatalf("a plan of equal sides has steps: %+v", again)
		}
	})
}

func TestP2_APlanLeavesAloneWhatTheReplicaCouldNotTell(t *testing.T) {
	stored := tree{}
	stored.put("big/model.bin", node{kind: File, hash: Hash{1}})
	stored.put("locked/a", node{kind: File, hash: Hash{2}})
	theirs := []Seen{
		{Entry: Entry{Path: "big", Kind: Folder}},
		{Entry: Entry{Path: "big/model.bin", Kind: File, Size: 1 << 40, Problem: "larger than 64 MiB"}},
		{Entry: Entry{Path: "locked", Kind: Folder, Problem: "cannot be read"}},
	}
	if plan := Plan(stored.base(), stored.items(), theirs, time.Now()); len(plan) != 0 {
		t.Fatalf("want no steps for what is unknown, got %+v", plan)
	}
}

func TestAPlanIgnoresCaches(t *testing.T) {
	theirs := tree{}
	theirs.put("pkg/__pycache__/m.pyc", node{kind: File, hash: Hash{1}})
	theirs.put("node_modules/left/index.js", node{kind: File, hash: Hash{2}})
	plan := Plan(nil, nil, theirs.seen(), time.Now())
	if len(plan) != 1 || plan[0].Path != "pkg" {
		t.Fatalf("want only the folder pkg, got %+v", plan)
	}
}

func TestAConflictKeepsBothUnderAReadableName(t *testing.T) {
	base, ours, theirs := tree{}, tree{}, tree{}
	base.put("a/analysis.py", node{kind: File, hash: Hash{1}})
	ours.put("a/analysis.py", node{kind: File, hash: Hash{2}})
	theirs.put("a/analysis.py", node{kind: File, hash: Hash{3}})
	plan := Plan(base.base(), ours.items(), theirs.seen(), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	if len(plan) != 1 || plan[0].Op != CopyTheirs || plan[0].CopyTo != "a/analysis (conflict 2026-03-04 05.06.07).py" {
		t.Fatalf("got %+v", plan)
	}
}

func TestAConflictCopyOfALongNameIsAValidPath(t *testing.T) {
	long := strings.Repeat("é", 126) + ".py"
	if name := fit(strings.TrimSuffix(long, ".py"), " (conflict 2026-03-04 05.06.07)", ".py", MaxNameBytes); len(name) > MaxNameBytes || !strings.HasSuffix(name, ".py") {
		t.Fatalf("got %d bytes: %s", len(name), name)
	}
}
