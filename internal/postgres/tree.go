package postgres

import (
	"path"
	"slices"
	"strings"

	"vivarium/internal/workspace"
)

// node is an item in memory, while changes are made to it.
type node struct {
	workspace.Item
	stored bool // it has a row
}

// tree is the part of a workspace that a list of changes touches: the items at their paths, everything above those, and
// everything below the ones that are removed or moved. What is not in it is not there, for the paths that are asked for.
type tree struct {
	nodes map[string]*node
	below map[string]map[*node]struct{} // by folder: what is directly in it
}

func newTree(items []workspace.Item) *tree {
	t := &tree{nodes: make(map[string]*node, len(items)), below: map[string]map[*node]struct{}{}}
	for _, item := range items {
		t.add(&node{Item: item, stored: true})
	}
	return t
}

func (t *tree) add(n *node) {
	t.nodes[n.Path] = n
	dir := path.Dir(n.Path)
	if t.below[dir] == nil {
		t.below[dir] = map[*node]struct{}{}
	}
	t.below[dir][n] = struct{}{}
}

func (t *tree) drop(n *node) {
	delete(t.nodes, n.Path)
	delete(t.below[path.Dir(n.Path)], n)
}

// within returns the item and everything below it, ordered by path.
func (t *tree) within(n *node) []*node {
	found := []*node{n}
	for i := 0; i < len(found); i++ {
		if found[i].Kind != workspace.Folder {
			continue
		}
		for child := range t.below[found[i].Path] {
			found = append(found, child)
		}
	}
	slices.SortFunc(found, func(a, b *node) int { return strings.Compare(a.Path, b.Path) })
	return found
}

// above returns the paths of the folders that a path is in, the outermost first.
func above(p string) []string {
	var dirs []string
	for at, c := range p {
		if c == '/' {
			dirs = append(dirs, p[:at])
		}
	}
	return dirs
}
