// Package archtest holds the import rules of the design as a test. It parses files itself, so that a cached result cannot
// hide a violation.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "vivarium"

var domain = []string{"internal/auth", "internal/audit", "internal/workspace", "internal/review", "internal/session",
	"internal/sandbox", "internal/terminal"}

// allowed says which packages of ours each package may import. A package's own sub-packages inherit its row unless they
// have one. A package that is missing here fails the test.
var allowed = map[string][]string{
	"internal/fault":               {},
	"internal/config":              {},
	"internal/agentproto":          {},
	"web":                          {},
	"internal/auth":                {"internal/fault"},
	"internal/audit":               {"internal/fault"},
	"internal/terminal":            {"internal/fault"},
	"internal/sandbox":             {"internal/fault"},
	"internal/sandbox/oci":         {"internal/sandbox", "internal/fault"},
	"internal/sandbox/docker":      {"internal/sandbox", "internal/fault"},
	"internal/sandbox/sandboxtest": {"internal/sandbox", "internal/fault"},
	"internal/workspace":           {"internal/auth", "internal/fault"},
	"internal/review":              {"internal/auth", "internal/fault"},
	"internal/session":             {"internal/auth", "internal/workspace", "internal/sandbox", "internal/terminal", "internal/fault"},
	"internal/agent":               {"internal/agentproto", "internal/terminal"},
	"internal/agentclient":         {"internal/agentproto", "internal/workspace", "internal/terminal", "internal/fault"},
	"internal/postgres":            append([]string{"internal/fault"}, domain...),
	"internal/httpapi": {"internal/auth", "internal/audit", "internal/workspace", "internal/review", "internal/session",
		"internal/terminal", "internal/fault"},
	"internal/app":       {"*"},
	"internal/archtest":  {},
	"cmd/vivarium":       {"internal/app", "internal/config"},
	"cmd/vivarium-agent": {"internal/agent"},
}

// testOnly are packages that only tests import, from anywhere.
var testOnly = []string{"internal/postgres/postgrestest", "internal/sandbox/sandboxtest"}

func TestImportsFollowTheDesign(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if rel != "." && (strings.HasPrefix(entry.Name(), ".") || slices.Contains([]string{"node_modules", "tools", "testdata", "bench"}, entry.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".go" {
			return nil
		}
		files++
		return check(t, name, filepath.ToSlash(rel))
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 10 {
		t.Fatalf("want the project's Go files, found only %d", files)
	}
}

func check(t *testing.T, name, rel string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	pkg := path.Dir(rel)
	row, known := rowOf(pkg)
	if !known {
		t.Errorf("%s: package %s has no row in the import table", rel, pkg)
		return nil
	}
	isTest := strings.HasSuffix(rel, "_test.go")
	for _, spec := range file.Imports {
		imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/")
		if !ours {
			continue
		}
		if isTest && slices.Contains(testOnly, imported) {
			continue
		}
		if !mayImport(pkg, imported, row) {
			t.Errorf("%s: %s may not import %s", rel, pkg, imported)
		}
	}
	return nil
}

// rowOf returns the row of the package or of the nearest package above it.
func rowOf(pkg string) ([]string, bool) {
	for ; pkg != "." && pkg != "/"; pkg = path.Dir(pkg) {
		if row, ok := allowed[pkg]; ok {
			return row, true
		}
	}
	return nil, false
}

func mayImport(pkg, imported string, row []string) bool {
	return slices.Contains(row, "*") || slices.Contains(row, imported) || family(pkg) == family(imported)
}

// family is the domain package that a package belongs to: internal/postgres for internal/postgres/cluster. Drivers are
// families of their own, so that they cannot know each other.
func family(pkg string) string {
	if _, ok := allowed[pkg]; ok {
		return pkg
	}
	if up := path.Dir(pkg); up != "." {
		return family(up)
	}
	return pkg
}

func TestTheTableForbidsWhatTheDesignForbids(t *testing.T) {
	for _, c := range []struct{ pkg, imported string }{
		{"internal/fault", "internal/config"},
		{"internal/httpapi", "internal/postgres"},
		{"internal/httpapi", "internal/agentclient"},
		{"internal/session", "internal/agentclient"},
		{"internal/sandbox/oci", "internal/sandbox/sandboxtest"},
		{"internal/terminal", "internal/agentproto"},
		{"internal/workspace", "internal/postgres"},
	} {
		row, known := rowOf(c.pkg)
		if !known || mayImport(c.pkg, c.imported, row) {
			t.Errorf("%s importing %s is let through", c.pkg, c.imported)
		}
	}
}
