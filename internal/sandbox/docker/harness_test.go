//go:build docker

package docker_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/docker"
	"vivarium/internal/sandbox/sandboxtest"
)

// limits are what the tests' sandboxes get unless they say otherwise.
var limits = sandbox.Limits{CPUs: 1, MemoryBytes: 1 << 30, Processes: 128, DiskBytes: 256 << 20, HomeBytes: 64 << 20}

var quiet = slog.New(slog.DiscardHandler)

// engine is the daemon that the tests run, in a folder that keeps its images from run to run.
var engine = daemonFolder{dir: filepath.Join(build, "docker")}

var build = filepath.Join("..", "..", "..", ".build")

func TestMain(m *testing.M) {
	if value := os.Getenv(crashVariable); value != "" {
		makeUntilKilled(value)
		return
	}
	flag.Parse()
	code := m.Run()
	if err := engine.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// daemonFolder is a folder that scripts/dockerd-for-tests.sh runs a daemon in.
type daemonFolder struct {
	dir  string
	once sync.Once
	err  error

	held  *os.File // the lock
	host  string
	image string
}

// script runs the script and returns what it printed.
func (f *daemonFolder) script(env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{filepath.Join("..", "..", "..", "scripts", "dockerd-for-tests.sh")}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var messages bytes.Buffer
	cmd.Stderr = &messages
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, messages.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// start starts the daemon with more flags if it does not run.
func (f *daemonFolder) start(env []string, flags ...string) error {
	host, err := f.script(env, append([]string{"start", f.dir}, flags...)...)
	f.host = host
	return err
}

func (f *daemonFolder) stop() error {
	if f.host == "" {
		return nil
	}
	_, err := f.script(nil, "stop", f.dir)
	return err
}

// pid is the daemon's process.
func (f *daemonFolder) pid(t testing.TB) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, "dockerd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// lock makes this process the one that uses the folder, until it ends. Another run of the tests is waited for.
func (f *daemonFolder) lock() error {
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(f.dir, "tests.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) { // between two looks
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			f.held = file
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("another run of these tests does not give up the daemon in %s: %w", f.dir, err)
		}
	}
}

// prepare starts the daemon, with nothing of an earlier run on it, and makes the sandboxes' image.
func (f *daemonFolder) prepare() error {
	if os.Geteuid() != 0 {
		return errors.New("the tests run a Docker daemon, which needs root")
	}
	if err := f.lock(); err != nil {
		return err
	}
	if err := f.start(nil); err != nil {
		return err
	}
	rootFS, agent := at("VIVARIUM_ROOTFS", "rootfs"), at("VIVARIUM_AGENT", "bin/vivarium-agent")
	name, err := docker.ImageName(rootFS, agent)
	if err != nil {
		return err
	}
	raw, err := client.New(client.WithHost(f.host))
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := clear(raw, name); err != nil {
		return err
	}
	f.image, err = docker.Import(context.Background(), docker.Config{Host: f.host, Log: quiet}, rootFS, agent)
	return err
}

// clear removes containers, volumes and all images but one.
func clear(raw *client.Client, image string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	containers, err := raw.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return err
	}
	for _, c := range containers.Items {
		if _, err := raw.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			return err
		}
	}
	volumes, err := raw.VolumeList(ctx, client.VolumeListOptions{})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if _, err := raw.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	images, err := raw.ImageList(ctx, client.ImageListOptions{})
	if err != nil {
		return err
	}
	for _, i := range images.Items {
		if len(i.RepoTags) == 1 && i.RepoTags[0] == image {
			continue
		}
		if _, err := raw.ImageRemove(ctx, i.ID, client.ImageRemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	return nil
}

func at(variable, name string) string {
	if path := os.Getenv(variable); path != "" {
		return path
	}
	return filepath.Join(build, name)
}

// config returns the driver's configuration on the tests' daemon, with an installation of the test's own. Without what a
// daemon needs the test fails: a test that is skipped for a missing tool proves nothing.
func config(t testing.TB) docker.Config {
	t.Helper()
	if testing.Short() {
		t.Skip("real sandboxes take long")
	}
	engine.once.Do(func() { engine.err = engine.prepare() })
	if engine.err != nil {
		t.Fatalf("this machine cannot run the test: %v", engine.err)
	}
	return docker.Config{
		Host:          engine.host,
		Installation:  "test-" + uuid.NewString(),
		Image:         engine.image,
		HomeUnbounded: true,
		Log:           slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError})),
	}
}

// testLog is a log in the test's output.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

func open(t testing.TB, cfg docker.Config) *docker.Driver {
	t.Helper()
	d, err := docker.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// direct returns a client of the daemon, for what a test does behind the driver's back.
func direct(t testing.TB) *client.Client {
	t.Helper()
	raw, err := client.New(client.WithHost(engine.host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

// harness returns a harness with sandboxes of the isolation.
func harness(t *testing.T, isolation sandbox.Isolation) sandboxtest.Harness {
	cfg := config(t)
	var drivers []*docker.Driver
	open := func(t testing.TB, cfg docker.Config) sandbox.Driver {
		d := open(t, cfg)
		drivers = append(drivers, d)
		return d
	}
	return sandboxtest.Harness{
		Driver: open(t, cfg),
		Reopen: func(t testing.TB) sandbox.Driver {
			for _, d := range drivers {
				_ = d.Close() // as the kernel does for a killed server
			}
			return open(t, cfg)
		},
		Other: func(t testing.TB) sandbox.Driver {
			other := cfg
			other.Installation = cfg.Installation + "x"
			return open(t, other)
		},
		Isolation: isolation,
		Limits:    limits,
		Connect:   func(stream io.ReadWriteCloser) (sandboxtest.Agent, error) { return connectSeeing(stream, isolation) },
		Kill:      func(t testing.TB, id string) { killSandbox(t, id) },
		Held: func(t testing.TB) map[string]int {
			for _, d := range drivers {
				d.CloseIdle()
			}
			return held(t, cfg)
		},
	}
}

// rootMount is what a user sees of the machine's paths under runc, and only there: the kernel shows the options of the
// overlay that Docker makes the root of, with its folders' random names. No setting hides them; they open nothing.
const rootMount = "mounts: a path of the machine: overlay / overlay ro,"

// rootSeen is an agent whose scripts' output is without that line of the posture's probe.
type rootSeen struct{ sandboxtest.Agent }

func (a rootSeen) Shell(ctx context.Context, script string) (string, int, error) {
	out, code, err := a.Agent.Shell(ctx, script)
	var kept strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, rootMount) {
			kept.WriteString(line)
		}
	}
	return kept.String(), code, err
}

func connectSeeing(stream io.ReadWriteCloser, isolation sandbox.Isolation) (sandboxtest.Agent, error) {
	agent, err := sandboxtest.Connect(stream)
	if err == nil && isolation == sandbox.Runc {
		agent = rootSeen{agent}
	}
	return agent, err
}

// killSandbox kills the sandbox's first process, on the machine.
func killSandbox(t testing.TB, id string) {
	t.Helper()
	raw := direct(t)
	defer raw.Close()
	c, err := raw.ContainerInspect(context.Background(), "vivarium-"+id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Container.State.Pid <= 1 {
		t.Fatalf("sandbox %s has no process", id)
	}
	if err := syscall.Kill(c.Container.State.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// held counts what sandboxes hold of the daemon and of the machine.
func held(t testing.TB, cfg docker.Config) map[string]int {
	t.Helper()
	raw, err := client.New(client.WithHost(engine.host))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	mine := client.Filters{}.Add("label", "vivarium.installation="+cfg.Installation)
	containers, err := raw.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine})
	if err != nil {
		t.Fatal(err)
	}
	volumes, err := raw.VolumeList(ctx, client.VolumeListOptions{}) // also those without our label
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Close() // before its connections are counted
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs(engine.dir)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]int{
		"containers":  len(containers.Items),
		"volumes":     len(volumes.Items),
		"mounts":      bytes.Count(mounts, []byte(folder)),
		"processes":   len(processes(t, "containerd-shim")) + len(processes(t, "runsc")),
		"cgroups":     cgroups(t),
		"descriptors": len(fds),
	}
}

// processes returns the machine's processes of the tests' daemon whose command line holds the text.
func processes(t testing.TB, text string) []int {
	t.Helper()
	folder, err := filepath.Abs(engine.dir)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(data, []byte(text)) || !bytes.Contains(data, []byte(folder)) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// cgroups counts the cgroups of containers of the tests' daemon.
func cgroups(t testing.TB) int {
	t.Helper()
	n := 0
	for _, pattern := range []string{"/sys/fs/cgroup/vivarium-docker-*/*", "/sys/fs/cgroup/*/vivarium-docker-*/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				n++
			}
		}
	}
	return n
}

// removeHomes removes all homes of an installation.
func removeHomes(t testing.TB, installation string) error {
	t.Helper()
	raw := direct(t)
	defer raw.Close()
	volumes, err := raw.VolumeList(context.Background(), client.VolumeListOptions{Filters: client.Filters{}.Add("label", "vivarium.installation="+installation)})
	if err != nil {
		return err
	}
	for _, v := range volumes.Items {
		if _, err := raw.VolumeRemove(context.Background(), v.Name, client.VolumeRemoveOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// within waits until the condition holds.
func within(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("want %s within %v", what, limit)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// specOf returns a spec with new ids.
func specOf(isolation sandbox.Isolation, l sandbox.Limits) sandbox.Spec {
	return sandbox.Spec{ID: uuid.NewString(), Workspace: uuid.NewString(), Isolation: isolation, Limits: l}
}

// made makes a sandbox for the test and returns its agent.
func made(t *testing.T, d *docker.Driver, spec sandbox.Spec) *sandboxtest.RealAgent {
	t.Helper()
	if err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	discardLater(t, d, spec)
	return dial(t, d, spec.ID)
}

// discardLater removes the sandbox and its home at the end of the test.
func discardLater(t *testing.T, d *docker.Driver, spec sandbox.Spec) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(d.Remove(ctx, spec.ID), d.RemoveHome(ctx, spec.Workspace)); err != nil {
			t.Error(err)
		}
	})
}

func dial(t *testing.T, d *docker.Driver, id string) *sandboxtest.RealAgent {
	t.Helper()
	stream, err := d.Dial(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := sandboxtest.ConnectReal(stream)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() }) // its sandbox may be gone
	return agent
}

// zombie reports whether a process has ended and nobody has taken note.
func zombie(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err != nil || bytes.Contains(status, []byte("State:\tZ"))
}
