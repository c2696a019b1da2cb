package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
)

const usersRemedy = "Use Linux 5.12 or newer with user namespaces allowed (sysctl user.max_user_namespaces), keep /proc/sys writable " +
	"for the server, and put the root file system on ext4, xfs or btrfs: sandboxes of runc have users of their own."

// checkUsers tries what each sandbox of runc needs: a user namespace, and the root file system shown to its users.
func checkUsers(ctx context.Context, rootFS string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, shortTimeout)
	defer cancel()
	space, err := newUserSpace(ctx, firstUserID+ranges*rangeSize) // a range that no sandbox gets
	if err != nil {
		return "", err
	}
	defer space.close()
	tree, err := cloneForUsers(rootFS, space)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d ranges of ids from %d on", ranges, firstUserID), tree.Close()
}

// inotifyLimits is where the kernel keeps the limits on what is watched.
const inotifyLimits = "/proc/sys/fs/inotify"

// The sandboxes' instances and watches count as root's together. Each sandbox takes one instance for the workspace's files, and
// as many watches as that has folders; programs such as development servers take more.
const (
	minInotifyInstances = 1024
	minInotifyWatches   = 131_072
	inotifyRemedy       = "Write `fs.inotify.max_user_instances = 8192` and `fs.inotify.max_user_watches = 1048576` to " +
		"/etc/sysctl.d/90-vivarium.conf and run `sysctl --system`. When they are used up, changes in sandboxes of runc are saved late."
)

func checkInotify(dir string) (string, error) {
	instances, watches := number(dir+"/max_user_instances"), number(dir+"/max_user_watches")
	detail := fmt.Sprintf("%d instances and %d watches for all sandboxes of runc", instances, watches)
	if _, err := os.Stat(dir); err == nil && (instances < minInotifyInstances || watches < minInotifyWatches) {
		return "", errors.New("only " + detail)
	}
	return detail, nil
}
