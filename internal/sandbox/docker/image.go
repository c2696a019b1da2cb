package docker

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
)

// rootFSLayout is the version of the root file system's layout that this driver needs: the user, the folders, the programs.
// scripts/build-rootfs.sh writes it into the first line of stampFile.
const (
	rootFSLayout  = "layout 1"
	stampFile     = ".vivarium-image"
	layoutLabel   = "vivarium.layout"
	repository    = "vivarium/sandbox"
	importTimeout = 15 * time.Minute // of more than a gigabyte, perhaps to another machine
)

// ImageName is the name of the image that is made of a root file system and an agent. It holds the hash of both.
func ImageName(rootFS, agent string) (string, error) {
	stamp, err := os.ReadFile(filepath.Join(rootFS, stampFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Unavailable, "There is no root file system at the configured path. Build it with scripts/build-rootfs.sh.")
	}
	if err != nil {
		return "", err
	}
	layout, _, _ := strings.Cut(string(stamp), "\n")
	if layout != rootFSLayout {
		return "", fault.New(fault.Unavailable, "The root file system has %q, and this server needs %q. Build it again with scripts/build-rootfs.sh.", layout, rootFSLayout)
	}
	program, err := os.Open(agent)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fault.New(fault.Unavailable, "There is no agent at the configured path. Build it with `go build ./cmd/vivarium-agent` (CGO_ENABLED=0).")
	}
	if err != nil {
		return "", err
	}
	defer program.Close()
	sum := sha256.New()
	sum.Write(stamp)
	if _, err := io.Copy(sum, program); err != nil {
		return "", err
	}
	return repository + ":" + hex.EncodeToString(sum.Sum(nil))[:20], nil
}

// Import makes the sandboxes' image on the daemon from a root file system and an agent, and returns its name. It does
// nothing when the daemon has that image. Of the configuration it uses Host and Log.
func Import(ctx context.Context, cfg Config, rootFS, agent string) (string, error) {
	if cfg.Log == nil {
		return "", fault.New(fault.Invalid, "Making an image needs a log.")
	}
	name, err := ImageName(rootFS, agent)
	if err != nil {
		return "", err
	}
	engine, err := connect(cfg.Host)
	if err != nil {
		return "", err
	}
	defer engine.Close()
	if _, err := imageOf(ctx, engine, name); err == nil {
		return name, nil
	} else if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	cfg.Log.Info("making the sandboxes' image on Docker; this takes a while", "image", name)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	out, in := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(in, rootFS, agent)
		_ = in.CloseWithError(err) // never fails
		packed <- err
	}()
	err = send(ctx, engine, name, out)
	_ = out.CloseWithError(errors.New("nobody reads any more")) // ends the packing when the daemon does not read to its end
	packErr := <-packed
	switch {
	case err != nil:
		return "", failure(ctx, err)
	case packErr != nil:
		return "", fault.Wrap(packErr, fault.Unavailable, "The root file system cannot be read.")
	}
	cfg.Log.Info("the sandboxes' image is made", "image", name, "took", time.Since(begun).Round(time.Second))
	return name, nil
}

// send gives the daemon a tar stream and waits until it has made the image.
func send(ctx context.Context, engine *client.Client, name string, tarball io.Reader) error {
	result, err := engine.ImageImport(ctx, client.ImageImportSource{Source: tarball, SourceName: "-"}, name, client.ImageImportOptions{
		Message: "Vivarium's sandboxes",
		Changes: []string{`LABEL ` + layoutLabel + `="` + rootFSLayout + `"`},
	})
	if err != nil {
		return err
	}
	defer result.Close()
	lines := json.NewDecoder(result)
	for {
		var line struct{ Error string }
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if line.Error != "" {
			return fault.Wrap(errors.New(line.Error), fault.Unavailable, "Docker could not make the image.")
		}
	}
}

// emptied are the folders whose content is no part of the image: something is mounted there, or nothing belongs there.
var emptied = map[string]bool{"dev": true, "proc": true, "run": true, "sys": true, "tmp": true, "var/tmp": true, "workspace": true}

// pack writes a tar stream of the root file system, with the agent in its place.
func pack(to io.Writer, rootFS, agent string) error {
	buffered := bufio.NewWriterSize(to, 1<<20)
	out := tar.NewWriter(buffered)
	links := map[uint64]string{} // first name of a file with several, by inode: the tree is on one file system
	err := filepath.WalkDir(rootFS, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(rootFS, path)
		if err != nil || name == "." {
			return err
		}
		if err := packOne(out, path, name, e, links, agent); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if e.IsDir() && emptied[name] {
			return filepath.SkipDir
		}
		return nil
	})
	return errors.Join(err, out.Close(), buffered.Flush())
}

func packOne(out *tar.Writer, path, name string, e fs.DirEntry, links map[uint64]string, agent string) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	if !info.IsDir() && !info.Mode().IsRegular() && info.Mode().Type() != fs.ModeSymlink {
		return nil // devices and sockets are the runtime's business
	}
	target := ""
	if info.Mode().Type() == fs.ModeSymlink {
		if target, err = os.Readlink(path); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.Uname, header.Gname, header.Format = name, "", "", tar.FormatPAX
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	if info.IsDir() {
		header.Name += "/"
	}
	if name == strings.TrimPrefix(agentPath, "/") {
		path = agent
		if info, err = os.Stat(agent); err != nil {
			return err
		}
		header.Size, header.Mode = info.Size(), 0o755
	} else if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && st.Nlink > 1 {
		if first, seen := links[st.Ino]; seen {
			header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0
			return out.WriteHeader(header)
		}
		links[st.Ino] = name
	}
	if err := out.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(out, file)
	return err
}

// imageOf returns the daemon's image of that name, and NotFound where it has none.
func imageOf(ctx context.Context, engine *client.Client, name string) (image.InspectResponse, error) {
	result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ImageInspectResult, error) {
		return engine.ImageInspect(ctx, name)
	})
	return result.InspectResponse, err
}
