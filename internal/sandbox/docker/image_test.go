//go:build docker

package docker

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vivarium/internal/fault"
)

// tree makes a small root file system and an agent.
func tree(t *testing.T) (rootFS, agent string) {
	t.Helper()
	dir := t.TempDir()
	rootFS, agent = filepath.Join(dir, "root"), filepath.Join(dir, "agent")
	files := map[string]string{
		stampFile: rootFSLayout + "\nabc\n", "usr/bin/one": "program", "usr/local/bin/vivarium-agent": "", "tmp/left": "x", "proc/left": "x",
		"workspace/left": "x", "var/tmp/left": "x", "home/user/.bashrc": "PS1=", "etc/tmp/kept": "x",
	}
	for name, content := range files {
		path := filepath.Join(rootFS, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.WriteFile(agent, []byte("the agent"), 0o700),
		os.Link(filepath.Join(rootFS, "usr/bin/one"), filepath.Join(rootFS, "usr/bin/two")),
		os.Symlink("usr/bin", filepath.Join(rootFS, "bin")),
		os.Chmod(filepath.Join(rootFS, "tmp"), os.ModeSticky|0o777))
	if err != nil {
		t.Fatal(err)
	}
	return rootFS, agent
}

func TestTheImageHoldsTheTreeAndTheAgentAndNothingThatWasLeftInIt(t *testing.T) {
	rootFS, agent := tree(t)
	out, in := io.Pipe()
	go func() { _ = in.CloseWithError(pack(in, rootFS, agent)) }() // never fails
	entries, contents := map[string]*tar.Header{}, map[string]string{}
	for r := tar.NewReader(out); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries[header.Name], contents[header.Name] = header, string(data)
	}
	for _, left := range []string{"tmp/left", "proc/left", "workspace/left", "var/tmp/left"} {
		if entries[left] != nil {
			t.Errorf("%s is in the image", left)
		}
	}
	for _, kept := range []string{"tmp/", "proc/", "workspace/", "var/tmp/", "etc/tmp/kept", "home/user/.bashrc", stampFile} {
		if entries[kept] == nil {
			t.Errorf("%s is missing: %v", kept, slices.Sorted(maps.Keys(entries)))
		}
	}
	if h := entries["usr/local/bin/vivarium-agent"]; h == nil || h.Mode&0o777 != 0o755 || contents[h.Name] != "the agent" {
		t.Errorf("want the agent as a program, got %+v, %q", h, contents["usr/local/bin/vivarium-agent"])
	}
	if h := entries["bin"]; h == nil || h.Typeflag != tar.TypeSymlink || h.Linkname != "usr/bin" {
		t.Errorf("want a symbolic link, got %+v", h)
	}
	if h := entries["usr/bin/two"]; h == nil || h.Typeflag != tar.TypeLink || h.Linkname != "usr/bin/one" {
		t.Errorf("want a hard link, got %+v", h)
	}
	if h := entries["tmp/"]; h == nil || h.FileInfo().Mode()&os.ModeSticky == 0 {
		t.Errorf("want a folder for all, got %+v", h)
	}
}

func TestTheImagesNameChangesWithWhatItIsMadeOf(t *testing.T) {
	rootFS, agent := tree(t)
	name := func() string {
		t.Helper()
		name, err := ImageName(rootFS, agent)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	first := name()
	if again := name(); again != first {
		t.Errorf("want the same name %s, got %s", first, again)
	}
	if err := os.WriteFile(agent, []byte("another agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	second := name()
	if err := os.WriteFile(filepath.Join(rootFS, stampFile), []byte(rootFSLayout+"\ndef\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if third := name(); first == second || second == third || first == third {
		t.Errorf("want three names, got %s, %s, %s", first, second, third)
	}
	if err := os.WriteFile(filepath.Join(rootFS, stampFile), []byte("layout 0\nabc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ImageName(rootFS, agent); !fault.Is(err, fault.Unavailable) {
		t.Errorf("want another layout refused, got %v", err)
	}
	if _, err := ImageName(t.TempDir(), agent); !fault.Is(err, fault.Unavailable) {
		t.Errorf("want a missing root file system told, got %v", err)
	}
}
