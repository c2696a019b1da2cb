package cluster_test

import (
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// runAsOwner makes a command run as the owner of a file, where we may do that.
func runAsOwner(cmd *exec.Cmd, st fs.FileInfo) {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: sys.Uid, Gid: sys.Gid}}
	}
}
