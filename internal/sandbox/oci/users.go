package oci

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
)

// The ids that sandboxes' users have on the machine: above those of people, services, systemd's containers and Docker's, and
// below the half that some programs take for negative. Each sandbox has a range of its own, so that whatever the kernel
// limits per user is no matter between neighbours, and a way out of a sandbox ends as nobody.
const (
	firstUserID = 0x7000_0000
	rangeSize   = 0x1_0000
	ranges      = 0x0fff
	sandboxUser = 1000 // uid and gid of the user in a sandbox
)

// What the kernel gives a sandbox's users. Without a limit one sandbox could use up what all together may have.
const (
	maxInotifyInstances = 128
	maxInotifyWatches   = 65_536
)

// userRanges are the ranges of ids that this installation's sandboxes have.
type userRanges struct {
	dir       string
	sandboxes string // folder of the sandboxes' bundles
}

func (u userRanges) claim(first uint32) claim {
	return claim{file: filepath.Join(u.dir, strconv.FormatUint(uint64(first), 10)), sandboxes: u.sandboxes}
}

// take returns the first id of a range that becomes the sandbox's. It begins at a number made from the sandbox's id, so that
// installations on one machine seldom share a range; when they do they share limits, and nothing else.
func (u userRanges) take(id string) (uint32, error) {
	h := fnv.New32a()
	_, _ = io.WriteString(h, id) // cannot fail
	begin := h.Sum32() % ranges
	for i := range uint32(ranges) {
		first := uint32(firstUserID + (begin+i)%ranges*rangeSize)
		mine, err := u.claim(first).take(id)
		if err != nil {
			return 0, fault.Wrap(err, fault.Unavailable, "The sandbox's state cannot be written. Check the server's disk.")
		}
		if mine {
			return first, nil
		}
	}
	return 0, fault.New(fault.Exhausted, "This server has no room for another sandbox: all ranges of user ids are taken.")
}

// drop gives back what a sandbox has, and what a server killed at work has left of its attempt.
func (u userRanges) drop(id string) error {
	entries, err := os.ReadDir(u.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, _, _ := strings.Cut(e.Name(), ".")
		if err := (claim{file: filepath.Join(u.dir, name), sandboxes: u.sandboxes}).drop(id); err != nil {
			return err
		}
	}
	return nil
}

// userSpace is a user namespace with one range of ids, kept by a process of ours until the sandbox's own keep it.
type userSpace struct {
	keeper *started
	wait   *os.File // what the keeper reads from
}

// In the new namespace root sets the limits of all its users, says so, and waits. Namespaces below it are not allowed.
var keepSpace = fmt.Sprintf("cd /proc/sys/user && echo 0 >max_user_namespaces && echo %d >max_inotify_instances &&"+
	" echo %d >max_inotify_watches && echo ready && read -r end", maxInotifyInstances, maxInotifyWatches)

// newUserSpace makes the namespace of a range.
func newUserSpace(ctx context.Context, first uint32) (*userSpace, error) {
	shell, err := tool("sh")
	if err != nil {
		return nil, err
	}
	stdin, wait, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	said, stdout, err := os.Pipe()
	if err != nil {
		_, _ = stdin.Close(), wait.Close()
		return nil, err
	}
	defer said.Close()
	var messages tail
	cmd := exec.Command(shell, "-c", keepSpace)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, &messages
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(first), Size: rangeSize}}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids,
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{Uid: 0, Gid: 0}}
	keeper, err := start(cmd)
	_, _ = stdin.Close(), stdout.Close()
	if err != nil {
		_ = wait.Close()
		return nil, err
	}
	s := &userSpace{keeper: keeper, wait: wait}
	// Without an answer it has ended, or it will with the deadline.
	stop := context.AfterFunc(ctx, func() { _ = said.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if answer, err := io.ReadAll(io.LimitReader(said, int64(len("ready")))); err != nil || string(answer) != "ready" {
		s.close()
		return nil, errors.Join(fmt.Errorf("user namespace: %q %s", answer, messages.String()), err, ctx.Err())
	}
	return s, nil
}

func (s *userSpace) path() string {
	return "/proc/" + strconv.Itoa(s.keeper.cmd.Process.Pid) + "/ns/user"
}

// close lets the namespace go. Processes and mounts that use it keep it.
func (s *userSpace) close() {
	s.keeper.kill()
	_ = s.wait.Close() // nobody reads from it any more
}

// cloneForUsers returns a mount of the folder, attached nowhere and not writable, in which the files of the image's users
// are those of the namespace's.
func cloneForUsers(dir string, space *userSpace) (*os.File, error) {
	namespace, err := os.Open(space.path())
	if err != nil {
		return nil, err
	}
	defer namespace.Close()
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open_tree: %w", err)
	}
	tree := os.NewFile(uintptr(fd), dir)
	err = unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV,
		Propagation: unix.MS_PRIVATE,
		Userns_fd:   uint64(namespace.Fd()),
	})
	if err != nil {
		_ = tree.Close()
		return nil, fmt.Errorf("mount_setattr: %w", err)
	}
	return tree, nil
}

// makeWay makes a folder and the one above it, which everybody may pass through and nobody else list.
func makeWay(dir string) error {
	for _, d := range []string{filepath.Dir(dir), dir} {
		// Not by the call that makes it: the server's own mask would take the right away.
		if err := errors.Join(os.MkdirAll(d, 0o700), os.Chmod(d, 0o711)); err != nil {
			return err
		}
	}
	return nil
}

// mountForUsers shows the folder to the namespace's users, see cloneForUsers.
func mountForUsers(dir, at string, space *userSpace) error {
	tree, err := cloneForUsers(dir, space)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := makeWay(filepath.Dir(at)); err != nil {
		return err
	}
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := unix.MoveMount(int(tree.Fd()), "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("move_mount: %w", err)
	}
	return nil
}
