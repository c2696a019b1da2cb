//go:build docker

package docker_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/docker"
	"vivarium/internal/sandbox/sandboxtest"
)

// crashVariable makes the test's program a server that makes sandboxes until it is killed: host, installation and image.
const crashVariable = "VIVARIUM_TEST_CRASH"

func makeUntilKilled(value string) {
	v := strings.Split(value, "\n")
	d, err := docker.New(context.Background(), docker.Config{Host: v[0], Installation: v[1], Image: v[2], HomeUnbounded: true, Log: quiet})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("begin\n")
	for {
		if err := d.Create(context.Background(), specOf(sandbox.Runc, limits)); err != nil {
			panic(err)
		}
	}
}

func TestS6_AServerKilledAtAnyMomentLeavesNothingThatTheNextCannotRemove(t *testing.T) {
	cfg := config(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := held(t, cfg)
	for _, after := range []time.Duration{1, 15, 40, 80, 130, 200, 400} {
		server := exec.Command(self)
		server.Env = append(os.Environ(), crashVariable+"="+strings.Join([]string{cfg.Host, cfg.Installation, cfg.Image}, "\n"))
		out, err := server.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("the server does not begin: %v", err)
		}
		time.Sleep(after * time.Millisecond) // the moment of the kill is what varies
		if err := server.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.Wait() // killed, as it should be

		d := open(t, cfg)
		all, err := d.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range all {
			if i.State == sandbox.Running {
				answers(t, dial(t, d, i.ID), 10*time.Second)
			}
		}
		// What the killed server had asked for last, the daemon may just be doing; and a home whose sandbox was never made goes
		// with its workspace, which that server alone knew.
		within(t, 10*time.Second, "nothing left", func() bool {
			left, err := d.List(t.Context())
			for _, i := range left {
				if err := d.Remove(t.Context(), i.ID); err != nil {
					t.Errorf("after %d ms: %v", after, err)
				}
			}
			return err == nil && len(left) == 0 && removeHomes(t, cfg.Installation) == nil
		})
		wantHeld(t, cfg, before)
	}
}

func TestAStreamsEndIsItsBridgesEnd(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		d := open(t, config(t))
		spec := specOf(isolation, limits)
		first := made(t, d, spec)
		const bridges = `n=0; for f in /proc/[0-9]*/cmdline; do if tr '\0' ' ' 2>/dev/null <$f | grep -q '^/usr/local/bin/vivarium-agent connect'; then n=$((n+1)); fi; done; echo $n`
		count := func() string { return strings.TrimSpace(must(t, first, bridges)) }
		var open []*sandboxtest.RealAgent
		for range 3 {
			open = append(open, dial(t, d, spec.ID))
		}
		for _, a := range open {
			answers(t, a, 10*time.Second)
		}
		if got := count(); got != "3" {
			t.Errorf("want three bridges, got %s", got)
		}
		for _, a := range open {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}
		within(t, 10*time.Second, "no bridge", func() bool { return count() == "0" })
	})
}

func TestNoStreamOutlivesItsSandboxOrItsDriver(t *testing.T) {
	cfg := config(t)
	for what, end := range map[string]func(d *docker.Driver, id string) error{
		"removed": func(d *docker.Driver, id string) error { return d.Remove(t.Context(), id) },
		"closed":  func(d *docker.Driver, _ string) error { return d.Close() },
	} {
		d := open(t, cfg)
		spec := specOf(sandbox.Runc, limits)
		first := made(t, d, spec)
		boot, second := answers(t, first, 10*time.Second), dial(t, d, spec.ID)
		answers(t, second, 10*time.Second)
		if err := end(d, spec.ID); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		for _, a := range []*sandboxtest.RealAgent{first, second} {
			select {
			case <-a.Done():
			case <-time.After(time.Second):
				t.Errorf("%s: want the stream's end, it goes on", what)
			}
		}
		if what == "closed" {
			if got := answers(t, dial(t, open(t, cfg), spec.ID), 10*time.Second); got != boot {
				t.Errorf("want the sandbox to go on with agent %q, got %q", boot, got)
			}
		}
	}
}
