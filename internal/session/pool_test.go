package session_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"vivarium/internal/sandbox"
	"vivarium/internal/session"
)

// withPool returns a place whose server has a pool of up to two warm sandboxes, and a function that stops the pool.
func withPool(t *testing.T) (*place, func()) {
	p := newPlace(t)
	p.Service.Close()
	p.pool = sandbox.NewPool(sandbox.PoolConfig{Driver: p.yard, Isolation: sandbox.GVisor, Min: 1, Max: 2, Window: time.Minute,
		MaxAge: time.Hour, Log: testLog()})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.pool.Run(ctx) })
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	p.serve()
	return p, stop
}

func TestASessionTakesAWarmSandboxAndThePoolFillsUpAgain(t *testing.T) {
	p, stop := withPool(t)
	eventually(t, "a warm sandbox", func() bool { return p.pool.Len() == 1 })
	warm, _ := p.yard.List(t.Context())
	p.save("a.txt", "x")
	box := p.start()
	if box.spec.ID != warm[0].ID {
		t.Fatalf("want the warm sandbox %s used, got %s", warm[0].ID, box.spec.ID)
	}
	if got, _ := box.read("a.txt"); got != "x" || box.spec.Workspace != p.ws.String() {
		t.Fatalf("want the workspace's files in it, got %q in %q", got, box.spec.Workspace)
	}
	eventually(t, "another warm one", func() bool { return p.pool.Len() == 1 })
	stop()
	if list, _ := p.yard.List(t.Context()); len(list) != 1 || list[0].ID != box.spec.ID {
		t.Fatalf("want the session's sandbox alone after the pool's end, got %+v", list)
	}
}

func TestAWarmSandboxThatCannotBeClaimedIsReplacedByANewOne(t *testing.T) {
	p, _ := withPool(t)
	eventually(t, "a warm sandbox", func() bool { return p.pool.Len() == 1 })
	p.yard.mu.Lock()
	p.yard.claimFails = true
	p.yard.mu.Unlock()
	box := p.start()
	if box == nil || p.view().Session.State != session.Running {
		t.Fatalf("want the session running, got %+v", p.view().Session)
	}
}

func TestWhatAPoolOfAnEarlierServerLeftIsRemoved(t *testing.T) {
	p, _ := withPool(t)
	eventually(t, "a warm sandbox", func() bool { return p.pool.Len() == 1 })
	left := "00000000-0000-4000-8000-000000000001"
	if err := p.yard.CreateWarm(t.Context(), sandbox.Spec{ID: left}); err != nil {
		t.Fatal(err)
	}
	p.Service.Close()
	p.serve()
	eventually(t, "it is gone", func() bool { return p.yard.box(left) == nil })
	if p.pool.Len() == 0 {
		t.Fatal("the pool's own went too")
	}
}
