package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// runc is what only runc knows. A sandbox shares the machine's kernel, so each has users of its own, which are nobody
// outside; a root that nobody can write; and a disk that is a file system of its own.
type runc struct {
	path   string // of the binary
	root   string // where it keeps its own state
	mounts string // where root file systems are mounted for a moment; any user may pass through it
	disks  disks
	users  userRanges
}

func (r runc) program() string { return r.path }

func (r runc) allows(l sandbox.Limits) error {
	if l.Processes < minRuncProcesses {
		return fault.New(fault.Invalid, "A sandbox that runc isolates needs at least %d processes.", minRuncProcesses).On("limits.processes")
	}
	return nil
}

func (r runc) rootMount(id string) string { return filepath.Join(r.mounts, id) }

func (r runc) prepare(ctx context.Context, b bundle, rec *record, at *layout) (func(), error) {
	first, err := r.users.take(b.id)
	if err != nil {
		return nil, err
	}
	rec.FirstUser = first
	if at.disk, err = r.attachDisk(ctx, b, rec); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The sandbox's disk cannot be prepared. Check the server's disk and loop devices.")
	}
	space, err := newUserSpace(ctx, first)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The sandbox's users cannot be made. `vivarium doctor` says what is missing.")
	}
	// runc opens the root with the rights of the sandbox's own root, who may not pass through the server's folders. When the
	// sandbox runs it has a mount of its own, and this one has served its purpose.
	shown := r.rootMount(b.id)
	if err := mountForUsers(at.rootFS, shown, space); err != nil {
		space.close()
		return nil, fault.Wrap(err, fault.Unavailable, "The sandbox's root cannot be mounted. `vivarium doctor` says what is missing.")
	}
	at.rootFS, at.userNS = shown, space.path()
	if err := writeBridge(b.bridge()); err != nil {
		space.close()
		return nil, fault.Wrap(err, fault.Unavailable, "The sandbox's configuration cannot be written. Check the server's disk.")
	}
	return func() {
		space.close()
		_ = r.hideRoot(b.id) // release does it again, and tells
	}, nil
}

// writeBridge writes what runc executes as a bridge.
func writeBridge(name string) error {
	data, err := json.Marshal(bridgeProcess())
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}

func (r runc) attachDisk(ctx context.Context, b bundle, rec *record) (string, error) {
	if err := os.Mkdir(b.disk(), 0o700); err != nil {
		return "", err
	}
	l, err := r.disks.attach(ctx, b.diskImage(), rec.Limits.DiskBytes)
	if err != nil {
		return "", err
	}
	defer l.Close() // the mount keeps it
	number := l.number
	rec.DiskLoop = &number
	if err := b.save(*rec); err != nil {
		return "", err
	}
	return b.disk(), mountExt4(l.Name(), b.disk())
}

// hideRoot takes a sandbox's root from where mountForUsers has put it. The folder stays: runc begins there when it enters
// the sandbox. It succeeds when nothing is mounted.
func (r runc) hideRoot(id string) error {
	err := unix.Unmount(r.rootMount(id), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting the root: %w", err)
	}
	return nil
}

func (r runc) release(ctx context.Context, b bundle, rec record) error {
	if err := r.hideRoot(b.id); err != nil {
		return err
	}
	if err := unmountImage(ctx, b.diskImage(), b.disk(), rec.DiskLoop); err != nil {
		return err
	}
	for _, name := range []string{r.rootMount(b.id), b.disk(), b.diskImage() + ".new", b.diskImage()} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return r.users.drop(b.id)
}

func (r runc) spec(at layout, l sandbox.Limits) (*specs.Spec, error) { return runcSpec(at, l) }

func (r runc) globals() []string { return []string{r.path, "--root=" + r.root} }

func (r runc) run(b bundle, _ sandbox.Limits) []string {
	return append(r.globals(), "--log="+b.runtimeLog(),
		"run", "--detach", "--bundle="+b.dir, "--pid-file="+b.pidFile(), b.id)
}

// settle waits until setpriv has become the agent.
func (r runc) settle(ctx context.Context, p process) error {
	for {
		program, err := os.Readlink("/proc/" + strconv.Itoa(p.PID) + "/exe") // a name alone; nothing is opened
		if !p.alive() {
			return errGone
		}
		if err == nil && program == agentPath {
			return nil
		}
		if !pause(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (r runc) connect(b bundle) []string {
	return append(r.globals(), "exec", "--process="+b.bridge(), b.id)
}

func (r runc) remove(id string) []string { return append(r.globals(), "delete", "--force", id) }

func (r runc) leftovers(id string) []string { return []string{filepath.Join(r.root, id)} }

// usage counts the user's processes and threads as their limit does. The disk is asked by its mount, in which nothing is
// looked up.
func (r runc) usage(u *sandbox.Usage, b bundle, rec record, c cgroups, cgroup string) {
	for _, pid := range c.processes(cgroup) {
		u.Processes += threadsOf(pid, rec.FirstUser+sandboxUser)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(b.disk(), &st); err == nil {
		u.DiskBytes = int64(st.Blocks-st.Bfree) * st.Bsize
	}
}

func (r runc) versionArgs() []string { return []string{r.path, "--version"} }

// parseVersion refuses versions with known holes: CVE-2025-31133, -52565, -52881 and CVE-2026-41579 are closed in 1.3.6,
// 1.4.3 and 1.5.0. Debian 12 and 13 have older ones.
func (r runc) parseVersion(out string) (string, error) {
	line, rest, _ := strings.Cut(out, "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(line), "runc version ")
	if !ok {
		return "", fmt.Errorf("not the version of a runc: %q", line)
	}
	var major, minor, patch int
	n, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch)
	if err != nil || n != 3 {
		return "", fmt.Errorf("not the version of a runc: %q", version)
	}
	least := map[int]int{3: 6, 4: 3}[minor]
	switch {
	case strings.Contains(version, "-"):
		return "", fmt.Errorf("version %s is a trial version", version)
	case major < 1 || major == 1 && (minor < 3 || patch < least):
		return "", fmt.Errorf("version %s has known holes; 1.3.6, 1.4.3 or 1.5.0 closes them", version)
	case !strings.Contains(rest, "libseccomp: "):
		return "", fmt.Errorf("version %s was built without seccomp", version)
	}
	return "runc " + version, nil
}
