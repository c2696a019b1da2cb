package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vivarium/internal/sandbox"
)

const (
	oneID   = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	otherID = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
)

func TestAClaimIsHeldByASandboxThatExists(t *testing.T) {
	dir := t.TempDir()
	c := claim{file: filepath.Join(dir, "thing"), sandboxes: filepath.Join(dir, "sandboxes")}
	folder := func(id string) string { return filepath.Join(c.sandboxes, id) }
	if err := os.MkdirAll(folder(oneID), 0o700); err != nil {
		t.Fatal(err)
	}
	take := func(id string, want bool) {
		t.Helper()
		if got, err := c.take(id); err != nil || got != want {
			t.Errorf("%s takes the claim: want %v, got %v, %v", id, want, got, err)
		}
	}
	take(oneID, true)
	take(otherID, false)
	if err := c.drop(otherID); err != nil {
		t.Error(err)
	}
	take(otherID, false)
	if err := os.Remove(folder(oneID)); err != nil { // as after a crash that left the claim
		t.Fatal(err)
	}
	take(otherID, true)
	if err := c.drop(otherID); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "thing*")); err != nil || len(left) > 0 {
		t.Errorf("want nothing left, got %v, %v", left, err)
	}
}

func TestARangeOfUsersIsHadByOneSandboxAtATime(t *testing.T) {
	dir := t.TempDir()
	users := userRanges{dir: filepath.Join(dir, "users"), sandboxes: filepath.Join(dir, "sandboxes")}
	if err := os.Mkdir(users.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{oneID, otherID} {
		if err := os.MkdirAll(filepath.Join(users.sandboxes, id), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	first, err := users.take(oneID)
	if err != nil || first < firstUserID || first%rangeSize != 0 {
		t.Fatalf("got %#x, %v", first, err)
	}
	if again, err := users.take(oneID); err != nil || again != first+rangeSize && again != firstUserID {
		t.Errorf("want the next range, got %#x, %v", again, err)
	}
	if err := os.WriteFile(filepath.Join(users.dir, "123."+oneID), nil, 0o600); err != nil { // as a server killed at work leaves it
		t.Fatal(err)
	}
	if err := users.drop(oneID); err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(users.dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("want nothing of the sandbox left, got %v, %v", left, err)
	}
	if again, err := users.take(oneID); err != nil || again != first {
		t.Errorf("want the range free again, got %#x, %v", again, err)
	}
}

func TestARecordOfAServerThatKnewGVisorAloneIsOneOfGVisor(t *testing.T) {
	b := bundle{dir: t.TempDir(), id: oneID}
	if err := os.WriteFile(b.recordFile(), []byte(`{"id":"`+oneID+`","process":{"pid":1,"start":2,"boot":"x"},"loop":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := b.load(); err != nil || r.Isolation != sandbox.GVisor || r.Loop == nil || *r.Loop != 3 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestLowLimitsOnFileWatchesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		good  bool
	}{
		"Linux's default": {map[string]string{"max_user_instances": "128\n", "max_user_watches": "192536\n"}, false},
		"few watches":     {map[string]string{"max_user_instances": "8192\n", "max_user_watches": "8192\n"}, false},
		"as advised":      {map[string]string{"max_user_instances": "8192\n", "max_user_watches": "1048576\n"}, true},
	} {
		detail, err := checkInotify(tree(t, c.files))
		if (err == nil) != c.good {
			t.Errorf("%s: got %q, %v", name, detail, err)
		}
		if err != nil && !strings.Contains(err.Error(), strings.TrimSpace(c.files["max_user_instances"])) {
			t.Errorf("%s: want what was found, got %v", name, err)
		}
	}
}
