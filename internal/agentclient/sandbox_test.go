package agentclient

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// program is the agent's binary, built once for all tests of the package.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vivarium-agent-test-")
	if err != nil {
		panic(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "vivarium-agent")
	build(program, "vivarium/cmd/vivarium-agent")
	build(filepath.Join(dir, "swap"), "./testdata/swap")
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(program, source string) {
	build := exec.Command("go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%s does not build: %v\n%s", source, err, out))
	}
}

// sandboxUID is the user of the agents under test where the tests run as root.
const sandboxUID = 1000

// box is an agent in a process of its own, with a workspace in a temporary folder. Run as root, it is PID 1 of a
// namespace with the three capabilities that it has in a sandbox; otherwise it is as much as the test itself.
type box struct {
	t      *testing.T
	root   string // the workspace
	home   string
	socket string
	stdio  net.Conn // not yet connected
	pid    int
	cmd    *exec.Cmd
	killed bool
	gvisor string // id of the sandbox, where the agent runs in one
}

func privileged() bool { return os.Getuid() == 0 }

func newBox(t *testing.T, flags ...string) *box {
	t.Helper()
	top, err := os.MkdirTemp("", "vivarium-box-")
	if err != nil {
		t.Fatal(err)
	}
	b := &box{t: t, root: filepath.Join(top, "workspace"), home: filepath.Join(top, "home"), socket: "@vivarium-test-" + rand.Text()}
	for _, dir := range []string{top, b.root, b.home} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	argv := append([]string{program, "serve", "-root", b.root, "-home", b.home, "-socket", b.socket}, flags...)
	serve := argv
	if privileged() {
		for _, dir := range []string{b.root, b.home} {
			if err := os.Chown(dir, sandboxUID, sandboxUID); err != nil {
				t.Fatal(err)
			}
		}
		caps := "-all,+setuid,+setgid,+kill"
		argv = append([]string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--", "setpriv", "--no-new-privs",
			"--bounding-set", caps, "--inh-caps", "-all", "--clear-groups", "--"}, argv...)
	}
	if runsc != "" {
		b.gvisor = b.bundle(top, serve)
		argv = b.runsc("run", "--bundle", top, b.gvisor)
	}
	b.cmd = exec.Command(argv[0], argv[1:]...)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "stdio")
	ours := os.NewFile(uintptr(pair[0]), "agent")
	b.cmd.Stdin, b.cmd.Stdout = theirs, theirs
	b.cmd.Stderr = testLog{t}
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	b.stdio, err = net.FileConn(ours)
	ours.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.stdio.Close()
		b.kill()
		// Folders that a test has locked.
		_ = exec.Command("chmod", "-R", "u+rwX", top).Run()
		if err := os.RemoveAll(top); err != nil {
			t.Error(err)
		}
	})
	return b
}

// testLog shows what the agent logs.
type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log("agent: ", strings.TrimSpace(string(p)))
	return len(p), nil
}

func (b *box) kill() {
	if !b.killed {
		b.killed = true
		if b.gvisor != "" {
			argv := b.runsc("delete", "--force", b.gvisor)
			_ = exec.Command(argv[0], argv[1:]...).Run()
			_ = unix.Unmount(filepath.Join(filepath.Dir(b.root), "state", "null-netns"), unix.MNT_DETACH)
		}
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
		_ = b.cmd.Wait()
	}
}

func (b *box) options() Options {
	o := Options{MaxFile: 4 << 20}
	if b.gvisor != "" {
		o.Isolation = "gvisor"
	}
	return o
}

// client connects over the agent's own stdio.
func (b *box) client() *Client {
	b.t.Helper()
	return b.connect(b.stdio)
}

// bridge connects through vivarium-agent connect, as a server does that was started again.
func (b *box) bridge() *Client {
	b.t.Helper()
	ours, theirs := net.Pipe()
	argv := []string{program, "connect", "-socket", b.socket}
	if b.gvisor != "" {
		argv = append(b.runsc("exec", b.gvisor), argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, testLog{b.t}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		ours.Close()
		theirs.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return b.connect(ours)
}

func (b *box) connect(conn net.Conn) *Client {
	b.t.Helper()
	c, err := Connect(b.ctx(), conn, b.options())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	return c
}

func (b *box) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	b.t.Cleanup(cancel)
	return ctx
}

func (b *box) path(rel string) string { return filepath.Join(b.root, rel) }

// write writes a file as the sandbox's user.
func (b *box) write(rel, content string) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(rel)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(rel), []byte(content), 0o644); err != nil {
		b.t.Fatal(err)
	}
	if privileged() {
		for p := b.path(rel); p != b.root; p = filepath.Dir(p) {
			if err := os.Lchown(p, sandboxUID, sandboxUID); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func (b *box) read(rel string) string {
	b.t.Helper()
	content, err := os.ReadFile(b.path(rel))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(content)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
