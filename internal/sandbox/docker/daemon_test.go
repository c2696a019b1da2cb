//go:build docker

package docker_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/docker"
)

// restart starts the daemon anew, after an orderly stop, and at the end of the test once more as it is for all tests.
func restart(t *testing.T, env []string, flags ...string) {
	t.Helper()
	again := func(env []string, flags ...string) {
		t.Helper()
		if err := engine.stop(); err != nil {
			t.Fatal(err)
		}
		if err := engine.start(env, flags...); err != nil {
			t.Fatal(err)
		}
	}
	again(env, flags...)
	t.Cleanup(func() { again(nil) })
}

// kill ends the daemon as a crash would.
func kill(t *testing.T) {
	t.Helper()
	pid := engine.pid(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	within(t, 10*time.Second, "the daemon's end", func() bool { return syscall.Kill(pid, 0) != nil || zombie(pid) })
}

// wantUnavailable makes calls at once, each of which must say within the limit that Docker is away.
func wantUnavailable(t *testing.T, d *docker.Driver, limit time.Duration, known, unknown sandbox.Spec) {
	t.Helper()
	var wg sync.WaitGroup
	for name, call := range map[string]func(context.Context) error{
		"List":       func(ctx context.Context) error { _, err := d.List(ctx); return err },
		"Create":     func(ctx context.Context) error { return d.Create(ctx, unknown) },
		"Dial":       func(ctx context.Context) error { _, err := d.Dial(ctx, known.ID); return err },
		"Usage":      func(ctx context.Context) error { _, err := d.Usage(ctx, known.ID); return err },
		"Stop":       func(ctx context.Context) error { return d.Stop(ctx, known.ID) },
		"RemoveHome": func(ctx context.Context) error { return d.RemoveHome(ctx, known.Workspace) },
	} {
		wg.Go(func() {
			begun := time.Now()
			err := call(t.Context())
			if !fault.Is(err, fault.Unavailable) || !strings.HasPrefix(fault.MessageOf(err), "Docker ") {
				t.Errorf("%s: want unavailable, and Docker named, got %v", name, err)
			}
			if took := time.Since(begun); took > limit {
				t.Errorf("%s: want an answer within %v, it took %v", name, limit, took)
			}
			if strings.Contains(fault.MessageOf(err), engine.dir) || strings.Contains(fault.MessageOf(err), ".sock") {
				t.Errorf("%s: a path of the machine in %q", name, fault.MessageOf(err))
			}
		})
	}
	wg.Wait()
}

// ending waits for the sandbox's end in the background.
func ending(t *testing.T, d *docker.Driver, id string) <-chan sandbox.Exit {
	t.Helper()
	out := make(chan sandbox.Exit, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if exit, err := d.Wait(ctx, id); err == nil {
			out <- exit
		} else if ctx.Err() == nil {
			t.Errorf("Wait: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return out
}

func TestD4_AfterTheDaemonsCrashWhatItEndedIsDeadAndTheRestGoesOn(t *testing.T) {
	for name, flags := range map[string][]string{"without live restore": nil, "with live restore": {"--live-restore"}} {
		t.Run(name, func(t *testing.T) {
			forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
				config(t)
				restart(t, nil, flags...)
				cfg := config(t)
				d := open(t, cfg)
				before := held(t, cfg)
				spec := specOf(isolation, limits)
				agent := made(t, d, spec)
				boot := answers(t, agent, 10*time.Second)
				unused := specOf(isolation, limits) // nobody has dialled it
				if err := d.Create(t.Context(), unused); err != nil {
					t.Fatal(err)
				}
				exits := ending(t, d, spec.ID)
				kill(t)
				wantUnavailable(t, d, 10*time.Second, spec, specOf(isolation, limits))
				select {
				case exit := <-exits:
					t.Fatalf("want no word about the sandbox while nobody knows, got %+v", exit)
				default:
				}
				if err := engine.start(nil, flags...); err != nil {
					t.Fatal(err)
				}
				if flags != nil {
					if got := answers(t, dial(t, d, spec.ID), 10*time.Second); got != boot {
						t.Errorf("want the same agent %q, got %q", boot, got)
					}
					answers(t, dial(t, d, unused.ID), 10*time.Second)
					killSandbox(t, spec.ID)
				}
				select {
				case exit := <-exits:
					if exit.OutOfMemory || exit.Detail == "" {
						t.Errorf("want an end that is explained and not by memory, got %+v", exit)
					}
				case <-time.After(15 * time.Second):
					t.Fatal("want the end noticed within 15 s")
				}
				if got := state(t, d, spec.ID); got != sandbox.Dead {
					t.Errorf("want the sandbox listed as dead, got %q", got)
				}
				second := specOf(isolation, limits)
				second.Workspace = spec.Workspace
				if err := d.Create(t.Context(), second); !fault.Is(err, fault.Conflict) {
					t.Errorf("want no second sandbox beside a dead one, got %v", err)
				}
				if err := d.Remove(t.Context(), spec.ID); err != nil {
					t.Fatal(err)
				}
				if err := d.Create(t.Context(), second); err != nil {
					t.Fatal(err)
				}
				answers(t, dial(t, d, second.ID), 10*time.Second)
				if err := d.Remove(t.Context(), second.ID); err != nil {
					t.Fatal(err)
				}
				if err := d.Remove(t.Context(), unused.ID); err != nil {
					t.Fatal(err)
				}
				for _, workspace := range []string{spec.Workspace, unused.Workspace} {
					if err := d.RemoveHome(t.Context(), workspace); err != nil {
						t.Fatal(err)
					}
				}
				wantHeld(t, cfg, before)
			})
		})
	}
}

// wantHeld waits until no more is held than before, but for descriptors: the test itself has streams.
func wantHeld(t *testing.T, cfg docker.Config, before map[string]int) {
	t.Helper()
	var more map[string]int
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // between two looks
		more = held(t, cfg)
		maps.DeleteFunc(more, func(kind string, n int) bool { return n <= before[kind] || kind == "descriptors" })
		if len(more) == 0 {
			return
		}
	}
	t.Errorf("want no more than %v, got %v", before, more)
}

func TestD4_ADaemonThatHangsDelaysNobodyForLongAndNothingIsLost(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	before := held(t, cfg)
	spec, unknown := specOf(sandbox.GVisor, limits), specOf(sandbox.GVisor, limits)
	agent := made(t, d, spec)
	boot := answers(t, agent, 10*time.Second)
	exits := ending(t, d, spec.ID)
	pid := engine.pid(t)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
				t.Error(err)
			}
		}
	}
	defer resume()
	wantUnavailable(t, d, 10*time.Second, spec, unknown)
	resume()

	// What was asked of the daemon meanwhile, it does now: the order to stop, not any other.
	select {
	case <-exits:
	case <-time.After(2 * time.Second):
		if got := answers(t, agent, 10*time.Second); got != boot {
			t.Errorf("want the same agent %q, got %q", boot, got)
		}
	}
	all, err := d.List(t.Context())
	if err != nil || len(all) != 1 {
		t.Errorf("want the one sandbox listed, got %v, %v", all, err)
	}
	if err := d.Create(t.Context(), unknown); err != nil {
		t.Fatalf("want a sandbox now, got %v", err)
	}
	for _, s := range []sandbox.Spec{spec, unknown} {
		if err := d.Remove(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
		if err := d.RemoveHome(t.Context(), s.Workspace); err != nil {
			t.Error(err)
		}
	}
	wantHeld(t, cfg, before)
}

func TestD4_ASandboxRemovedBehindTheServerIsNoticedAndItsHomeStays(t *testing.T) {
	d := open(t, config(t))
	spec := specOf(sandbox.GVisor, limits)
	must(t, made(t, d, spec), "echo kept >~/note")
	exits := ending(t, d, spec.ID)
	if _, err := direct(t).ContainerRemove(t.Context(), "vivarium-"+spec.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		t.Fatal(err)
	}
	select {
	case exit := <-exits: // it is ended first, and removed then: either may be what was seen
		if exit.OutOfMemory || exit.Detail != "The sandbox was removed." && exit.Detail != "The sandbox ended unexpectedly." {
			t.Errorf("want the removal told, got %+v", exit)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("want the removal noticed within 10 s")
	}
	if got := state(t, d, spec.ID); got != "" {
		t.Errorf("want it listed no more, got %q", got)
	}
	if err := d.Remove(t.Context(), spec.ID); err != nil {
		t.Errorf("Remove: want success when nothing is left, got %v", err)
	}
	next := specOf(sandbox.GVisor, limits)
	next.Workspace = spec.Workspace
	if got := must(t, made(t, d, next), "cat ~/note"); got != "kept\n" {
		t.Errorf("want the home as it was, got %q", got)
	}
}

func TestD4_AnImageThatIsGoneIsNamed(t *testing.T) {
	cfg := config(t)
	raw := direct(t)
	const name = "vivarium/sandbox:gone"
	if _, err := raw.ImageTag(t.Context(), client.ImageTagOptions{Source: cfg.Image, Target: name}); err != nil {
		t.Fatal(err)
	}
	cfg.Image = name
	d := open(t, cfg)
	if _, err := raw.ImageRemove(t.Context(), name, client.ImageRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	before := held(t, cfg)
	err := d.Create(t.Context(), specOf(sandbox.GVisor, limits))
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.MessageOf(err), "image") {
		t.Errorf("want unavailable, and the image named, got %v", err)
	}
	wantHeld(t, cfg, before)
	if _, err := docker.New(t.Context(), cfg); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), name) {
		t.Errorf("want a start refused that names the image, got %v", err)
	}
}

func TestD4_ARuntimeThatIsGoneIsNamedAndNeverReplaced(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	restart(t, []string{"WITHOUT_RUNSC=1"})
	before := held(t, cfg)
	spec := specOf(sandbox.GVisor, limits)
	if err := d.Create(t.Context(), spec); !fault.Is(err, fault.Unavailable) || !strings.Contains(fault.MessageOf(err), "runsc") {
		t.Errorf("want unavailable, and the runtime named, got %v", err)
	}
	wantHeld(t, cfg, before)
	next := open(t, cfg)
	if c := next.Capabilities(); len(c.Isolations) != 1 || c.Isolations[0] != sandbox.Runc {
		t.Errorf("want runc alone offered, got %+v", c)
	}
	if err := next.Create(t.Context(), spec); !fault.Is(err, fault.Invalid) {
		t.Errorf("want gVisor refused, got %v", err)
	}
}
