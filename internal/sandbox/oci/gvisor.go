package oci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vivarium/internal/sandbox"
)

// gvisor is what only runsc knows. A sandbox's disk is one file of the runtime's own, and its users are of its own kernel.
type gvisor struct {
	path string // of the binary
	root string // where it keeps its own state
}

func (g gvisor) program() string { return g.path }

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

func (g gvisor) allows(sandbox.Limits) error { return nil }

func (g gvisor) prepare(_ context.Context, b bundle, _ *record, _ *layout) (func(), error) {
	return func() {}, os.Mkdir(b.disk(), 0o700)
}

func (g gvisor) spec(at layout, l sandbox.Limits) (*specs.Spec, error) { return gvisorSpec(at, l), nil }

func (g gvisor) run(b bundle, l sandbox.Limits) []string {
	return append(g.globals(),
		"--log="+b.runtimeLog(),
		// All that the sandbox writes over the shared root goes to one unlinked file of at most this size.
		fmt.Sprintf("--overlay2=root:dir=%s,size=%d", b.disk(), l.DiskBytes),
		// Nobody but the sandbox changes its home, so that gVisor may cache it.
		"--file-access-mounts=exclusive",
		// An empty network namespace of its own for the file server; the shared one would stay mounted for ever.
		"--gofer-network-namespace=new",
		"run", "--detach", "--bundle="+b.dir, "--pid-file="+b.pidFile(), b.id)
}

// settle has nothing to wait for: runsc fails where the agent cannot be executed.
func (g gvisor) settle(context.Context, process) error { return nil }

func (g gvisor) connect(b bundle) []string {
	return append(g.globals(), "exec", "--cwd=/", b.id, agentPath, "connect")
}

func (g gvisor) remove(id string) []string {
	return append(g.globals(), "delete", "--force", id)
}

// leftovers are locks and control sockets. runsc puts a socket into one of the other folders when the path of its own is
// too long. An id is nobody else's.
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

func (g gvisor) release(_ context.Context, b bundle, _ record) error {
	return os.RemoveAll(b.disk()) // at most an unnamed file that the runtime had no time to unlink
}

// usage leaves the number of processes out: the cgroup counts the threads of gVisor's kernel. The sandbox's unlinked disk is
// named only by descriptors of its process; nothing is opened.
func (g gvisor) usage(u *sandbox.Usage, _ bundle, r record, _ cgroups, _ string) {
	dir := "/proc/" + strconv.Itoa(r.Process.PID) + "/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		target, err := os.Readlink(dir + e.Name())
		if err != nil || !strings.Contains(target, "/runsc-filestore-") {
			continue
		}
		var st syscall.Stat_t
		if err := syscall.Stat(dir+e.Name(), &st); err == nil {
			u.DiskBytes = st.Blocks * 512
		}
		return
	}
}

func (g gvisor) versionArgs() []string { return []string{g.path, "--version"} }

func (g gvisor) parseVersion(out string) (string, error) {
	line, _, _ := strings.Cut(out, "\n")
	version, ok := strings.CutPrefix(strings.TrimSpace(line), "runsc version ")
	if !ok {
		return "", fmt.Errorf("not the version of a runsc: %q", line)
	}
	return "runsc " + version, nil
}
