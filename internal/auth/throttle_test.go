package auth

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"vivarium/internal/fault"
)

var errMiss = errors.New("missed")

func miss(t *throttle, name, address string) error {
	return t.do(context.Background(), loginKeys(name, address), func() (bool, error) { return true, errMiss })
}

func hit(t *throttle, name, address string) error {
	return t.do(context.Background(), loginKeys(name, address), func() (bool, error) { return false, nil })
}

// refused returns after how long to try again.
func refused(t *testing.T, err error) time.Duration {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Exhausted || f.RetryAfter <= 0 {
		t.Fatalf("want Exhausted with a time to try again, got %v", err)
	}
	return f.RetryAfter
}

func TestA2_TenMissesAtOneNameAndAddressAreAllAndTheOwnerElsewhereGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for n := range 10 {
			if err := miss(th, "ada", "192.0.2.1"); err != errMiss {
				t.Fatalf("miss %d: %v", n+1, err)
			}
		}
		refused(t, miss(th, "ada", "192.0.2.1"))
		refused(t, miss(th, "Ada", "192.0.2.1"))
		refused(t, hit(th, "ada", "::ffff:192.0.2.1"))
		if err := hit(th, "ada", "192.0.2.2"); err != nil {
			t.Fatalf("the owner at another address is refused: %v", err)
		}
		// The address drains soon, so that other people there are not kept out; the name at the address does not.
		time.Sleep(7 * time.Second)
		if err := hit(th, "grace", "192.0.2.1"); err != nil {
			t.Fatalf("somebody else at the address is refused after 7 s: %v", err)
		}
		wait := refused(t, hit(th, "ada", "192.0.2.1"))
		time.Sleep(wait)
		if err := hit(th, "ada", "192.0.2.1"); err != nil {
			t.Fatalf("still refused after the time that was told: %v", err)
		}
	})
}

func TestA2_MissesAtManyNamesFromOneAddressAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		for n := range 10 {
			if err := miss(th, fmt.Sprint("user", n), "2001:db8:1:2::1"); err != errMiss {
				t.Fatalf("miss %d: %v", n+1, err)
			}
		}
		refused(t, miss(th, "user10", "2001:db8:1:2:ffff::9")) // the same subscriber
		if err := hit(th, "user10", "2001:db8:1:3::1"); err != nil {
			t.Fatalf("the neighbour is refused: %v", err)
		}
	})
}

func TestA2_ManyAtOnceAreNoWayRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		tried := make(chan struct{}, 100)
		results := make(chan error, 100)
		for range 100 {
			go func() {
				results <- th.do(t.Context(), loginKeys("ada", "192.0.2.1"), func() (bool, error) {
					tried <- struct{}{}
					time.Sleep(50 * time.Millisecond)
					return true, errMiss
				})
			}()
		}
		for range 100 {
			<-results
		}
		if len(tried) != 10 {
			t.Fatalf("want 10 passwords tried, got %d", len(tried))
		}
	})
}

func TestManyRightPasswordsAtOnceAreAllLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle()
		results := make(chan error, 100)
		for n := range 100 {
			go func() {
				results <- th.do(t.Context(), loginKeys(fmt.Sprint("user", n), "192.0.2.1"), func() (bool, error) {
					time.Sleep(50 * time.Millisecond)
					return false, nil
				})
			}()
		}
		for range 100 {
			if err := <-results; err != nil {
				t.Fatal(err)
			}
		}
		if len(th.buckets) != 0 || th.waiters != 0 {
			t.Fatalf("%d buckets and %d waiters are left", len(th.buckets), th.waiters)
		}
	})
}

func TestAnAttemptThatPanicsIsNotUnderWayForEver(t *testing.T) {
	th := newThrottle()
	func() {
		defer func() { _ = recover() }()
		_ = th.do(t.Context(), loginKeys("ada", "192.0.2.1"), func() (bool, error) { panic("in a store") })
	}()
	if len(th.buckets) != 0 {
		t.Fatalf("%d buckets are left", len(th.buckets))
	}
}

func TestTheThrottleForgetsWhatHasDrainedAndStaysBounded(t *testing.T) {
	th := newThrottle()
	for n := range maxBuckets + 1000 {
		_ = miss(th, fmt.Sprint(n), fmt.Sprint("place ", n))
		if len(th.buckets) > maxBuckets {
			t.Fatalf("%d buckets", len(th.buckets))
		}
	}
	if len(th.buckets) < maxBuckets/2 {
		t.Fatalf("only %d buckets are left: it forgot too much", len(th.buckets))
	}
}
