package workspace

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Seen is an entry of the replica with the keyed hash of its content.
type Seen struct {
	Entry
	Hash Hash
}

// Op is what to do about one path where store, replica and base are not all the same.
type Op int

// The operations of a plan.
const (
	// Agree: store and replica are the same already (or both have nothing); only the base is behind.
	Agree Op = iota
	// Pull makes the store like the replica; with no Theirs it removes.
	Pull
	// Push makes the replica like the store; with no Ours it removes.
	Push
	// CopyTheirs: both changed. The replica's is stored as CopyTo, then the path is pushed.
	CopyTheirs
	// MoveOurs: both changed, and the replica has a folder here. The store's is moved to CopyTo, then the path is pulled.
	MoveOurs
)

// Action is one step of a plan. Ours and Theirs are what the plan was made from; nil where there was nothing.
type Action struct {
	Op     Op
	Path   string
	Ours   *Item
	Theirs *Seen
	CopyTo string
}

// node is what must be equal for two sides to be the same.
type node struct {
	kind       Kind // empty: nothing there
	executable bool
	hash       Hash
	target     string
}

func (n node) leaf() bool { return n.kind == File || n.kind == Link }

// place is one path on the three sides, and what the plan makes of it.
type place struct {
	base, ours, theirs node
	item               *Item
	seen               *Seen
	unknown            bool // the replica has something here that it could not tell
	op                 Op
	none               bool // nothing to do
	final              node // what both sides hold afterwards
}

// Plan compares the store (ours) and the replica (theirs) with what both had when they last agreed (base), and says what to
// do so that they agree again and nothing that either side made is lost: where only one side changed, its change wins,
// also a removal; where one removed what the other changed, the change wins; where both changed differently, both are
// kept. Entries with a Problem, ignored paths, and all below either, are left alone. The three must cover the same scope.
// Actions are ordered by path. It is the three-way reconciliation of "What is a File Synchronizer?" (Balasubramaniam and
// Pierce, 1998), with conflict copies.
func Plan(base []BaseItem, ours []Item, theirs []Seen, now time.Time) []Action {
	places := gather(base, ours, theirs)
	paths := make([]string, 0, len(places))
	for p := range places {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		places[p].decide()
	}
	keepFolders(places, paths)

	var actions []Action
	for _, p := range paths {
		at := places[p]
		if at.none {
			continue
		}
		a := Action{Op: at.op, Path: p, Ours: at.item, Theirs: at.seen}
		if a.Op == CopyTheirs || a.Op == MoveOurs {
			a.CopyTo = copyPath(places, p, now)
		}
		actions = append(actions, a)
	}
	return actions
}

func gather(base []BaseItem, ours []Item, theirs []Seen) map[string]*place {
	places := make(map[string]*place, len(ours))
	at := func(p string) *place {
		if places[p] == nil {
			places[p] = &place{}
		}
		return places[p]
	}
	for i := range theirs {
		seen := &theirs[i]
		if Ignored(seen.Path) {
			continue
		}
		one := at(seen.Path)
		one.seen = seen
		one.unknown = seen.Problem != ""
		one.theirs = node{seen.Kind, seen.Executable, seen.Hash, seen.Target}
	}
	for i := range ours {
		if item := &ours[i]; !Ignored(item.Path) {
			one := at(item.Path)
			one.item = item
			one.ours = node{item.Kind, item.Executable, item.Hash, item.Target}
		}
	}
	for _, b := range base {
		if !Ignored(b.Path) {
			at(b.Path).base = node{b.Kind, b.Executable, b.Hash, b.Target}
		}
	}
	for p, one := range places {
		for up := path.Dir(p); up != "."; up = path.Dir(up) {
			if above := places[up]; above != nil && above.unknown {
				one.unknown = true
			}
		}
	}
	return places
}

// decide looks at one path alone.
func (p *place) decide() {
	switch {
	case p.unknown:
		p.none, p.final = true, p.ours
	case p.ours == p.theirs:
		p.op, p.final = Agree, p.ours
		p.none = p.ours == p.base
	case p.ours == p.base:
		p.op, p.final = Pull, p.theirs
	case p.theirs == p.base, p.theirs.kind == "":
		p.op, p.final = Push, p.ours
	case p.ours.kind == "":
		p.op, p.final = Pull, p.theirs
	case p.theirs.kind == Folder:
		p.op, p.final = MoveOurs, p.theirs
	default:
		p.op, p.final = CopyTheirs, p.ours
	}
}

// keepFolders mends the plan where a path would end as something else than a folder although something below it stays.
func keepFolders(places map[string]*place, paths []string) {
	needed := map[string]bool{}
	for _, p := range paths {
		one := places[p]
		if one.final.kind == "" && !(one.unknown && one.seen != nil) {
			continue
		}
		for up := path.Dir(p); up != "." && !needed[up]; up = path.Dir(up) {
			needed[up] = true
		}
	}
	for _, p := range paths {
		one := places[p]
		if !needed[p] || one.final.kind == Folder || one.unknown {
			continue
		}
		switch {
		case one.ours.kind == Folder && one.theirs.leaf() && one.theirs != one.base:
			one.op = CopyTheirs
		case one.ours.kind == Folder:
			one.op = Push
		case one.theirs.kind == Folder && one.ours.leaf() && one.ours != one.base:
			one.op = MoveOurs
		case one.theirs.kind == Folder:
			one.op = Pull
		default:
			continue // neither side has a folder here: only an unknown entry is below
		}
		one.none, one.final = false, node{kind: Folder}
	}
}

// copyPath returns a free path beside p that says where its content came from.
func copyPath(places map[string]*place, p string, now time.Time) string {
	dir, name := path.Split(p)
	ext := path.Ext(name)
	if ext == name {
		ext = ""
	}
	stem := strings.TrimSuffix(name, ext)
	stamp := now.UTC().Format("2006-01-02 15.04.05")
	for n := 1; ; n++ {
		mark := " (conflict " + stamp + ")"
		if n > 1 {
			mark = fmt.Sprintf(" (conflict %s %d)", stamp, n)
		}
		candidate := dir + fit(stem, mark, ext, min(MaxNameBytes, MaxPathBytes-len(dir)))
		if places[candidate] == nil {
			places[candidate] = &place{none: true}
			return candidate
		}
	}
}

// fit joins the parts of a name and shortens its stem, else its ending, until it has at most limit bytes.
func fit(stem, mark, ext string, limit int) string {
	if len(mark)+len(ext) > limit {
		ext = ""
	}
	for len(stem)+len(mark)+len(ext) > limit && stem != "" {
		_, size := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-size]
	}
	return stem + mark + ext
}
