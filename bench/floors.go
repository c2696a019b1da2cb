package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/creack/pty"
	"github.com/fsnotify/fsnotify"
	"github.com/google/uuid"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// floorPTY is a process in a PTY that belongs to the bench; Close ends the process and runs the rest of its cleanup.
type floorPTY struct {
	*os.File
	cmd     *exec.Cmd
	cleanup func() error
}

func startPTY(cmd *exec.Cmd, cleanup func() error) (*stream, error) {
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 120, Rows: 30})
	if err != nil {
		return nil, errors.Join(err, cleanup())
	}
	return newStream(&floorPTY{file, cmd, cleanup}), nil
}

func (p *floorPTY) Close() error {
	_ = p.cmd.Process.Kill()
	err := p.File.Close()
	_ = p.cmd.Wait() // that it was killed is no news
	return errors.Join(err, p.cleanup())
}

// shellEnv is the environment of the floors' shells.
var shellEnv = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "TERM=xterm-256color", "PS1=" + prompt, "LC_ALL=C.UTF-8", "HOME=/tmp"}

// hostShell is bash in a PTY of this machine.
func hostShell() (*stream, error) {
	cmd := exec.Command("bash", "--norc", "--noprofile", "-i")
	cmd.Env = shellEnv
	return startPTY(cmd, func() error { return nil })
}

// runscShell is bash in a sandbox of its own, started by runsc and connected to nothing but a PTY.
func runscShell(t tools) (*stream, error) {
	dir, err := os.MkdirTemp("", "vivarium-bench-runsc-")
	if err != nil {
		return nil, err
	}
	spec := specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{Terminal: true, User: specs.User{UID: 1000, GID: 1000}, Cwd: "/tmp", Env: shellEnv,
			Args: []string{"bash", "--norc", "--noprofile", "-i"}, NoNewPrivileges: true},
		Root:     &specs.Root{Path: t.rootfs},
		Hostname: "floor",
		Mounts: []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=1777"}}},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.MountNamespace},
			{Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.NetworkNamespace}}},
	}
	config, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		return nil, err
	}
	state := filepath.Join(dir, "state")
	id := uuid.NewString()
	flags := []string{"--root", state, "--network=none", "--ignore-cgroups", "--overlay2=root:dir=" + dir + ",size=64m"}
	return startPTY(exec.Command(t.runsc, append(flags, "run", "--bundle", dir, id)...), func() error {
		out, err := exec.Command(t.runsc, append(flags, "delete", "--force", id)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("runsc delete: %w: %s", err, out)
		}
		// runsc keeps an empty network namespace mounted in its state folder.
		if err := unix.Unmount(filepath.Join(state, "null-netns"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) && err != unix.EINVAL {
			return err
		}
		return os.RemoveAll(dir)
	})
}

// fsyncs takes the time of replacing a small file durably, the least that a save which survives a power cut can cost.
func fsyncs(n int) (samples, error) {
	dir, err := os.MkdirTemp("", "vivarium-bench-fsync-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var times samples
	for i := range n {
		began := time.Now()
		f, err := os.Create(filepath.Join(dir, "new"))
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintf(f, "token-%d", i)
		if err = errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), filepath.Join(dir, "file"))); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// notifications takes the time from writing a file on this machine to being told of it by inotify.
func notifications(n int) (samples, error) {
	dir, err := os.MkdirTemp("", "vivarium-bench-inotify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	defer watcher.Close()
	if err := watcher.Add(dir); err != nil {
		return nil, err
	}
	var times samples
	for i := range n {
		name := filepath.Join(dir, fmt.Sprint(i))
		began := time.Now()
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			return nil, err
		}
		for told := false; !told; {
			select {
			case event := <-watcher.Events:
				told = event.Name == name && event.Has(fsnotify.Write)
			case err := <-watcher.Errors:
				return nil, err
			case <-time.After(deadline):
				return nil, fmt.Errorf("inotify said nothing of %s within %v", name, deadline)
			}
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}
