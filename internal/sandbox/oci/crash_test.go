package oci_test

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/internal/sandbox/sandboxtest"
)

// crashVariable makes the test's program a server that makes sandboxes until it is killed.
const crashVariable = "VIVARIUM_TEST_CRASH"

func TestMain(m *testing.M) {
	if value := os.Getenv(crashVariable); value != "" {
		makeUntilKilled(value)
		return
	}
	goleak.VerifyTestMain(m)
}

func TestS6_AServerKilledAtAnyMomentLeavesNothingThatTheNextCannotRemove(t *testing.T) {
	forEach(t, testKilledServer)
}

func testKilledServer(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, cfg)
	warm := sandboxtest.Harness{Isolation: isolation, Limits: limits}.Spec()
	if err := d.Create(t.Context(), warm); err != nil { // makes what is kept for good
		t.Fatal(err)
	}
	if err := d.Remove(t.Context(), warm.ID); err != nil {
		t.Fatal(err)
	}
	before := held(t, cfg)
	for _, after := range []time.Duration{1, 10, 30, 60, 90, 120, 160, 250, 400, 600} {
		server := exec.Command(self)
		server.Env = append(os.Environ(), crashVariable+"="+strings.Join([]string{cfg.Dir, cfg.Installation, cfg.Runsc, cfg.Runc,
			cfg.RootFS, cfg.Agent, string(isolation)}, "\n"))
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
			if err := d.Remove(t.Context(), i.ID); err != nil {
				t.Errorf("after %d ms: %v", after, err)
			}
		}
		if left, err := d.List(t.Context()); err != nil || len(left) > 0 {
			t.Errorf("after %d ms: want nothing listed, got %v, %v", after, left, err)
		}
		var now map[string]int
		deadline := time.Now().Add(10 * time.Second)
		for {
			now = held(t, cfg)
			delete(now, "descriptors") // streams that the test still has
			maps.DeleteFunc(now, func(kind string, n int) bool { return n <= before[kind] })
			if len(now) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("after %d ms: want no more than %v, got %v", after, before, now)
			}
			time.Sleep(20 * time.Millisecond) // between two looks
		}
	}
}

func makeUntilKilled(value string) {
	v := strings.Split(value, "\n")
	d, err := oci.New(context.Background(), oci.Config{Dir: v[0], Installation: v[1], Runsc: v[2], Runc: v[3],
		RootFS: v[4], Agent: v[5], Log: quiet})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("begin\n")
	for {
		spec := sandboxtest.Harness{Isolation: sandbox.Isolation(v[6]), Limits: limits}.Spec()
		if err := d.Create(context.Background(), spec); err != nil {
			panic(err)
		}
	}
}
