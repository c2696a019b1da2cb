package cluster

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"vivarium/internal/fault"
)

// account is the account of the machine that the cluster belongs to and runs as.
type account struct {
	name     string
	uid, gid uint32
	switched bool // not our own: processes are started with its credentials
}

// findAccount returns our own account, or "postgres" when we are root.
func findAccount() (account, error) {
	name := ""
	if os.Geteuid() == 0 {
		name = "postgres"
	}
	var found *user.User
	var err error
	if name == "" {
		found, err = user.LookupId(strconv.Itoa(os.Geteuid()))
	} else {
		found, err = user.Lookup(name)
	}
	if err != nil && name != "" {
		return account{}, fault.Wrap(err, fault.Unavailable, "PostgreSQL refuses to run as root, and this machine has no user \"postgres\" "+
			"to run it as. Make one (`useradd --system postgres`), run vivarium as an ordinary user, or set VIVARIUM_DATABASE_URL.")
	}
	if err != nil {
		return account{}, fault.Wrap(err, fault.Unavailable, "PostgreSQL does not run as a user without a name (uid %d). Add the user to "+
			"/etc/passwd, or set VIVARIUM_DATABASE_URL.", os.Geteuid())
	}
	uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return account{}, err
	}
	return account{name: found.Username, uid: uint32(uid), gid: uint32(gid), switched: name != ""}, nil
}

// command returns a command that runs as the account, in a session of its own: a Ctrl-C in our terminal is for us, and the
// database goes on until we stop it. It gets no environment of ours, which may hold secrets.
func (a account) command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.switched {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return cmd
}

// own makes a folder that only the account may use, or checks that one which exists is such a folder. An empty one of ours, as
// somebody makes who prepares a machine, is given to the account.
func (a account) own(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	foreign := fault.New(fault.Unavailable, "%s is not a folder of the user %s, who runs the private database. Move it away, or give it to "+
		"that user (`chown -R %s %s`).", dir, a.name, a.name, dir)
	if !ok || !st.IsDir() {
		return foreign
	}
	if sys.Uid != a.uid {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(entries) > 0 || int(sys.Uid) != os.Geteuid() {
			return foreign
		}
		if err := os.Lchown(dir, int(a.uid), int(a.gid)); err != nil {
			return err
		}
	}
	if st.Mode().Perm() != 0o700 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// makeDirs makes the cluster's folder and that of its logs.
func (c *Cluster) makeDirs() error {
	for _, dir := range []string{c.cfg.Dir, c.logDir()} {
		if err := c.account.own(dir); err != nil {
			if fault.KindOf(err) != fault.Internal {
				return err
			}
			return fault.Wrap(err, fault.Unavailable, "The folder for the private database cannot be made: %s.", reason(err))
		}
	}
	return nil
}

// checkReach tries whether the account can get to the cluster's folder.
func (c *Cluster) checkReach(ctx context.Context, bin binaries) error {
	if !c.account.switched {
		return nil
	}
	if err := c.account.command(ctx, c.cfg.Dir, bin.postgres(), "--version").Run(); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	blocked := c.cfg.Dir
	for dir := filepath.Dir(c.cfg.Dir); ; dir = filepath.Dir(dir) {
		if st, err := os.Stat(dir); err == nil && !c.account.passes(st) {
			blocked = dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	return fault.New(fault.Unavailable, "The user %q, who runs the private database, cannot get to %s because %s is closed to others. "+
		"Choose a data folder elsewhere, such as /var/lib/vivarium, or open that folder to be passed through (`chmod o+x %s`).",
		c.account.name, c.cfg.Dir, blocked, blocked)
}

// passes reports whether the mode lets the account pass through a folder.
func (a account) passes(st fs.FileInfo) bool {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case sys.Uid == a.uid:
		return st.Mode()&0o100 != 0
	case sys.Gid == a.gid:
		return st.Mode()&0o010 != 0
	}
	return st.Mode()&0o001 != 0
}

// reason returns why something with a file did not work, in the system's words and with the path.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Path + ": " + e.Err.Error()
	}
	return strings.TrimSpace(err.Error())
}
