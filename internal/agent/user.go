package agent

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// credential returns what a user's process runs as, and nil where the agent is no more than the user itself.
func (o Options) credential() *syscall.Credential {
	if os.Getuid() != 0 || o.UID == 0 {
		return nil
	}
	return &syscall.Credential{Uid: uint32(o.UID), Gid: uint32(o.GID)}
}

// environment is all that a user's process gets to see.
func (o Options) environment() []string {
	return []string{
		"HOME=" + o.Home,
		"USER=" + o.User,
		"LOGNAME=" + o.User,
		"SHELL=/bin/bash",
		"TERM=xterm-256color",
		"COLORTERM=truecolor",
		"LANG=C.UTF-8",
		"PATH=" + o.Home + "/.local/bin:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
		"MPLBACKEND=Agg",              // there is no display
		"PIP_BREAK_SYSTEM_PACKAGES=1", // Debian refuses pip outside a virtual environment; here it installs into the home
		"PIP_DISABLE_PIP_VERSION_CHECK=1",
	}
}

// asUser runs f on a thread with the user's effective ids, so that what it opens belongs to the user. The real and saved
// ids stay those of the agent, so the user can do nothing to the thread meanwhile. System calls are made directly because
// those of package syscall change every thread.
func (o Options) asUser(f func() error) error {
	if o.credential() == nil {
		return f()
	}
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := setEffective(o.UID, o.GID)
		if err == nil {
			err = f()
		}
		if back := setEffective(0, 0); back == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with the goroutine: its ids never serve anything else
		result <- err
	}()
	return <-result
}

// setEffective changes the effective ids of this thread alone: package syscall would change those of every thread. The
// group goes first when rights are given up, and last when they are taken back; one order serves both because the
// group's real id never changes.
func setEffective(uid, gid int) error {
	const same = ^uintptr(0)
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESGID, same, uintptr(gid), same); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
		return errno
	}
	return nil
}
