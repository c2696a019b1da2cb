package oci

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// claim is a file that names the sandbox which alone may use something. It holds across servers that share the folder,
// and is void when the sandbox is no more.
type claim struct {
	file      string
	sandboxes string // folder of the sandboxes' bundles
}

func (c claim) attempt(id string) string { return c.file + "." + id }

// take makes the sandbox the holder, and reports whether it is: another one that exists keeps the claim.
func (c claim) take(id string) (bool, error) {
	mine := c.attempt(id)
	if err := os.WriteFile(mine, []byte(id), 0o600); err != nil {
		return false, err
	}
	defer os.Remove(mine)
	for {
		err := os.Link(mine, c.file)
		if !errors.Is(err, fs.ErrExist) {
			return err == nil, err
		}
		held, err := c.held()
		if held || err != nil {
			return false, err
		}
		if err := os.Remove(c.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
}

// held reports whether a sandbox that exists has the claim.
func (c claim) held() (bool, error) {
	id, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if validID(string(id)) != nil {
		return false, nil
	}
	_, err = os.Lstat(filepath.Join(c.sandboxes, string(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// drop gives the claim back if the sandbox has it, and removes what a server killed at work has left of its attempt.
func (c claim) drop(id string) error {
	if err := os.Remove(c.attempt(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	holder, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && string(holder) != id {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(c.file)
}
