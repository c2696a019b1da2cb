package workspace

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"

	"vivarium/internal/fault"
)

// templateFolders has a folder per template, named by its ID: template.json says what it is, and files/ is what a new
// workspace gets.
//
//go:embed all:templates
var templateFolders embed.FS

const defaultTemplate = "blank"

// Template is something that a workspace can be made from.
type Template struct {
	ID          string `json:"-"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type template struct {
	Template
	files map[string][]byte // by path
	paths []string
}

// loadTemplates reads the templates. It panics on what only a mistake in the sources can cause, which the tests would show.
func loadTemplates() []template {
	folders, err := templateFolders.ReadDir("templates")
	must(err)
	var out []template
	for _, folder := range folders {
		one := template{Template: Template{ID: folder.Name()}, files: map[string][]byte{}}
		root := path.Join("templates", one.ID)
		about, err := templateFolders.ReadFile(path.Join(root, "template.json"))
		must(err)
		must(json.Unmarshal(about, &one.Template))
		files, err := fs.Sub(templateFolders, path.Join(root, "files"))
		must(err)
		must(fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := fs.ReadFile(files, name)
			if err != nil {
				return err
			}
			one.files[name] = content
			one.paths = append(one.paths, name)
			return ValidatePath(name)
		}))
		out = append(out, one)
	}
	return out
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("the embedded templates are wrong: %v", err))
	}
}

// Templates returns what workspaces can be made from.
func (s *Service) Templates() []Template {
	out := make([]Template, 0, len(s.templates))
	for _, t := range s.templates {
		out = append(out, t.Template)
	}
	return out
}

func (s *Service) template(id string) (template, error) {
	if id == "" {
		id = defaultTemplate
	}
	for _, t := range s.templates {
		if t.ID == id {
			return t, nil
		}
	}
	return template{}, fault.New(fault.Invalid, "There is no such template.").On("template")
}

// changes returns what makes the template's files in an empty workspace.
func (t template) changes() []SyncedChange {
	var out []SyncedChange
	for _, p := range t.paths {
		out = append(out, SyncedChange{Change: Change{Path: p, IfVersion: 0, Kind: File}, Content: t.files[p]})
	}
	return out
}
