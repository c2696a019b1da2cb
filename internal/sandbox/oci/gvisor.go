package oci

import (
	"fmt"
	"path/filepath"
	"strings"
)

// gvisor is what only runsc knows: its flags, and the arguments of the few commands that the driver uses. A second runtime
// would have the same methods.
type gvisor struct {
	path string // of the binary
	root string // where it keeps its own state
}

// globals are the flags of every command. Without debugging runsc writes no log but one line about its own failure, so
// that a sandbox cannot fill the disk through it.
func (g gvisor) globals() []string {
	return []string{
		g.path,
		"--root=" + g.root,
		"--platform=systrap",
		"--network=none", // loopback only, and it is up: with the default it has no address
	}
}

// run makes and starts a sandbox in one call and leaves it alone. The process's stdio becomes the agent's.
func (g gvisor) run(b bundle, diskBytes int64) []string {
	return append(g.globals(),
		"--log="+b.runtimeLog(),
		// All that the sandbox writes over the shared root goes to one unlinked file of at most this size.
		fmt.Sprintf("--overlay2=root:dir=%s,size=%d", b.disk(), diskBytes),
		// Nobody but the sandbox changes its home, so that gVisor may cache it.
		"--file-access-mounts=exclusive",
		// An empty network namespace of its own for the file server; the shared one would stay mounted for ever.
		"--gofer-network-namespace=new",
		"run", "--detach", "--bundle="+b.dir, "--pid-file="+b.pidFile(), b.id)
}

// exec runs a program in a sandbox, with the rights of the agent, on the calling process's stdio.
func (g gvisor) exec(id string, argv ...string) []string {
	return append(append(g.globals(), "exec", "--cwd=/", id), argv...)
}

// remove ends a sandbox and frees what runsc holds of it. It succeeds when there is none.
func (g gvisor) remove(id string) []string {
	return append(g.globals(), "delete", "--force", id)
}

// leftovers are files that a runsc killed at work leaves and its delete does not know: locks and control sockets. It puts
// a socket into one of the other folders when the path of its own is too long. An id is nobody else's.
func (g gvisor) leftovers(id string) []string {
	names, err := filepath.Glob(filepath.Join(g.root, "*"+id+"*"))
	if err != nil {
		return nil
	}
	for _, dir := range []string{"/var/run", "/run", "/tmp"} {
		names = append(names, filepath.Join(dir, "runsc-"+id+".sock"))
	}
	return names
}

func (g gvisor) versionArgs() []string { return []string{g.path, "--version"} }

// parseVersion returns "runsc VERSION" from the output of --version.
func (g gvisor) parseVersion(out string) (string, error) {
	line, _, _ := strings.Cut(out, "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(line), "runsc version ")
	if !ok {
		return "", fmt.Errorf("not the version of a runsc: %q", line)
	}
	return "runsc " + version, nil
}
