package oci

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const templatePrefix = ".template-"

// templates are empty ext4 images, which new images are copied from: to make a file system takes longer. Those in one
// folder are all of one version.
type templates struct {
	dir     string
	version string   // of the content; part of a template's name
	content string   // folder that is copied into them
	flags   []string // arguments of mke2fs
}

// copyTo makes an image in one step that a crash cannot leave half done.
func (t templates) copyTo(ctx context.Context, image string, size int64, durable bool) error {
	template, err := t.get(ctx, size)
	if err != nil {
		return err
	}
	temp := image + ".new"
	if err := copySparse(template, temp, durable); err != nil {
		return err
	}
	return os.Rename(temp, image)
}

// get returns the template of the size, made with mke2fs at its first use.
func (t templates) get(ctx context.Context, size int64) (string, error) {
	name := filepath.Join(t.dir, templatePrefix+t.version+"-"+strconv.FormatInt(size, 10)+".ext4")
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	mke2fs, err := tool("mke2fs")
	if err != nil {
		return "", err
	}
	file, err := os.CreateTemp(t.dir, ".new-template-")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Truncate(size), file.Close()); err != nil {
		return "", err
	}
	argv := append([]string{mke2fs, "-q", "-F", "-t", "ext4", "-b", strconv.Itoa(ext4Block), "-m", "0", "-d", t.content}, t.flags...)
	if _, err := output(ctx, createTimeout, append(argv, file.Name())); err != nil {
		return "", err
	}
	t.forgetOthers()
	return name, os.Rename(file.Name(), name)
}

// forgetOthers removes the templates of other versions.
func (t templates) forgetOthers() {
	names, err := filepath.Glob(filepath.Join(t.dir, templatePrefix+"*"))
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(filepath.Base(name), templatePrefix+t.version+"-") {
			_ = os.Remove(name) // it only takes space
		}
	}
}
