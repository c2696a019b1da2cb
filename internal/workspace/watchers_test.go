package workspace

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
)

func removed(n int) Event { return Event{Applied: Applied{Removed: fmt.Sprint(n)}} }

func TestAWatcherGetsTheEventsOfItsWorkspaceInOrder(t *testing.T) {
	var w watchers
	mine, other := uuid.New(), uuid.New()
	events, stop := w.watch(mine)
	for n := range watchBuffer {
		w.publish(mine, removed(n))
		w.publish(other, removed(-1))
	}
	for n := range watchBuffer {
		if e := <-events; e != removed(n) {
			t.Fatalf("want event %d, got %+v", n, e)
		}
	}
	stop()
	stop()
	if _, open := <-events; open {
		t.Fatal("want no more events after the end")
	}
	w.publish(mine, removed(0))
	if len(w.of) != 0 {
		t.Fatalf("%d workspaces are still watched", len(w.of))
	}
}

func TestAWatcherThatLagsIsToldWhereTheGapIsAndHoldsUpNobody(t *testing.T) {
	var w watchers
	ws := uuid.New()
	slow, stopSlow := w.watch(ws)
	defer stopSlow()
	quick, stopQuick := w.watch(ws)
	defer stopQuick()
	for n := range 3 * watchBuffer {
		w.publish(ws, removed(n))
		if e := <-quick; e != removed(n) {
			t.Fatalf("the quick one: want event %d, got %+v", n, e)
		}
	}
	for n := range watchBuffer {
		if e := <-slow; e != removed(n) {
			t.Fatalf("want event %d, got %+v", n, e)
		}
	}
	w.publish(ws, removed(3*watchBuffer))
	if e := <-slow; !e.Lost {
		t.Fatalf("want to be told that events were lost, got %+v", e)
	}
	if e := <-slow; e != removed(3*watchBuffer) {
		t.Fatalf("want the event after the gap, got %+v", e)
	}
	if len(slow) != 0 {
		t.Fatalf("%d more events", len(slow))
	}
}

func TestNobodyMissesAnEventUnawares(t *testing.T) {
	var w watchers
	ws := uuid.New()
	events, stop := w.watch(ws)
	const total = 20_000
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range total {
			w.publish(ws, removed(n))
		}
		stop()
	})
	next, resync := 0, false
	for e := range events {
		if e.Lost {
			resync = true
			continue
		}
		var n int
		if _, err := fmt.Sscan(e.Applied.Removed, &n); err != nil {
			t.Fatal(err)
		}
		if n != next && (!resync || n < next) {
			t.Fatalf("want event %d, got %d", next, n)
		}
		next, resync = n+1, false
	}
	wg.Wait()
}

func TestALockIsHeldByOneAndLeavesNothingBehind(t *testing.T) {
	var l locks
	ws := uuid.New()
	unlock, err := l.lock(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.lock(ctx, ws); !fault.Is(err, fault.Timeout) {
		t.Fatalf("want Timeout while another holds it, got %v", err)
	}
	unlockOther, err := l.lock(t.Context(), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	unlockOther()
	unlock()

	count, inside := 0, 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			unlock, err := l.lock(t.Context(), ws)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			inside++
			if inside != 1 {
				t.Errorf("%d are inside", inside)
			}
			count++
			inside--
		})
	}
	wg.Wait()
	if count != 50 || len(l.of) != 0 {
		t.Fatalf("%d of 50 were inside, %d locks are left", count, len(l.of))
	}
}
