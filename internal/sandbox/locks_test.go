package sandbox

import (
	"context"
	"testing"
	"time"

	"vivarium/internal/fault"
)

func TestACallerWaitsForALockNoLongerThanItsContext(t *testing.T) {
	var k Locks
	unlock, err := k.Lock(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := k.Lock(ctx, "a"); !fault.Is(err, fault.Timeout) {
		t.Errorf("want a time-out, got %v", err)
	}
	other, err := k.Lock(t.Context(), "b")
	if err != nil {
		t.Fatalf("want another key free, got %v", err)
	}
	other()
	unlock()
	again, err := k.Lock(t.Context(), "a")
	if err != nil {
		t.Fatalf("want the lock free again, got %v", err)
	}
	again()
	if len(k.locks) != 0 {
		t.Errorf("want no lock remembered, got %d", len(k.locks))
	}
}
