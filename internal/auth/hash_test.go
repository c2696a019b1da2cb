package auth

import (
	"context"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
)

func TestA1_EqualPasswordsHaveDifferentHashesOfTheAgreedCost(t *testing.T) {
	h := newHasher()
	one, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	two, err := h.hash(t.Context(), "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	if one == two {
		t.Fatal("two hashes of one password are the same")
	}
	const want = "$argon2id$v=19$m=47104,t=1,p=1$"
	if !strings.HasPrefix(one, want) {
		t.Fatalf("want a hash that begins with %s, got %s", want, one)
	}
	if p, _, _, err := decodePHC(h.dummy); err != nil || p != cost {
		t.Fatalf("the hash for accounts that do not exist costs %+v (%v), want %+v", p, err, cost)
	}
}

func TestA1_EveryByteOfAPasswordCounts(t *testing.T) {
	h := newHasher()
	for _, c := range []struct{ name, set, try string }{
		{"the 73rd byte", strings.Repeat("a", 72) + "X", strings.Repeat("a", 72) + "Y"},
		{"the last of 1,024 bytes", strings.Repeat("b", 1023) + "X", strings.Repeat("b", 1023) + "Y"},
		{"a space at the end", "eight chars ", "eight chars"},
		{"a space at the start", " eight chars", "eight chars"},
		{"case", "Eight chars", "eight chars"},
		{"the form of Unicode", "cafe\u0301 au lait", "caf\u00e9 au lait"},
		{"what follows a NUL", "eight\x00chars", "eight\x00shars"},
	} {
		phc, err := h.hash(t.Context(), c.set)
		if err != nil {
			t.Fatal(err)
		}
		if right, err := h.verify(t.Context(), c.set, phc); err != nil || !right {
			t.Errorf("%s: the password itself is refused (%v)", c.name, err)
		}
		if right, err := h.verify(t.Context(), c.try, phc); err != nil || right {
			t.Errorf("%s does not count (%v)", c.name, err)
		}
	}
}

// The vector is of the reference implementation's test suite (argon2id, version 19).
func TestAHashOfOtherCostsIsVerified(t *testing.T) {
	const phc = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	h := newHasher()
	if right, err := h.verify(t.Context(), "password", phc); err != nil || !right {
		t.Fatalf("want the reference vector to hold, got %v, %v", right, err)
	}
	if right, err := h.verify(t.Context(), "Password", phc); err != nil || right {
		t.Fatalf("want another password refused, got %v, %v", right, err)
	}
}

func TestAHashThatIsNoneOrCostsTooMuchIsRefusedWithoutHashing(t *testing.T) {
	const salt, hash = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, phc := range []string{
		"", "plain", "$2a$10$abcdefghijklmnopqrstuv",
		"$argon2i$v=19$m=256,t=2,p=1$" + salt + "$" + hash,
		"$argon2id$v=16$m=256,t=2,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=256,t=1000000,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=256,t=0,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=256,t=1,p=255$" + salt + "$" + hash,
		"$argon2id$v=19$m=256,t=1,p=256$" + salt + "$" + hash,
		"$argon2id$v=19$m=-1,t=1,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$t=1,m=256,p=1$" + salt + "$" + hash,
		"$argon2id$v=19$m=256,t=1,p=1$$" + hash,
		"$argon2id$v=19$m=256,t=1,p=1$" + salt + "$",
		"$argon2id$v=19$m=256,t=1,p=1$" + salt + "$" + hash + "$",
		"$argon2id$v=19$m=256,t=1,p=1$" + salt + "$" + strings.Repeat("A", 2000),
	} {
		if right, err := newHasher().verify(t.Context(), "password", phc); err == nil || right {
			t.Errorf("%s is taken", phc)
		}
	}
}

func TestA2_OnlySoManyPasswordsAreHashedOrQueuedAtOnce(t *testing.T) {
	h := newHasher()
	h.queue = 1
	var leaves []func()
	for range cap(h.slots) {
		leave, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	entered := make(chan error, 1)
	go func() {
		leave, err := h.enter(t.Context())
		if err == nil {
			leave()
		}
		entered <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); h.waiting.Load() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
		time.Sleep(time.Millisecond)
	}
	_, err := h.hash(t.Context(), "correct horse battery")
	if f, ok := err.(*fault.Error); !ok || f.Kind != fault.Exhausted || f.RetryAfter <= 0 {
		t.Fatalf("want Exhausted with a time to try again, got %v", err)
	}
	leaves[0]()
	if err := <-entered; err != nil {
		t.Fatalf("want the one that waited let in, got %v", err)
	}
	for _, leave := range leaves[1:] {
		leave()
	}
	if len(h.slots) != 0 || h.waiting.Load() != 0 {
		t.Fatalf("%d slots and %d waiters are left", len(h.slots), h.waiting.Load())
	}
}

func TestWaitingToHashEndsWithTheRequest(t *testing.T) {
	h := newHasher()
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.enter(ctx); !fault.Is(err, fault.Timeout) {
		t.Fatalf("want Timeout, got %v", err)
	}
}
