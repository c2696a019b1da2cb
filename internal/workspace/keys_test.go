package workspace

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func newKeys(t testing.TB) (*Keys, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "keys.json")
	keys, err := LoadKeys(file, true)
	if err != nil {
		t.Fatal(err)
	}
	return keys, file
}

func hashOf(k *Keys, content []byte) Hash { return k.Hash(sha256.Sum256(content)) }

func TestKeysAreTheSameAfterARestart(t *testing.T) {
	keys, file := newKeys(t)
	content := []byte("print('hello')\n")
	h := hashOf(keys, content)
	sealed, err := keys.Seal(h, content)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKeys(file, false)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := again.Open(h, sealed)
	if err != nil || !bytes.Equal(opened, content) {
		t.Fatalf("want the content back, got %q, %v", opened, err)
	}
	if hashOf(again, content) != h || again.Fingerprint() != keys.Fingerprint() {
		t.Fatal("the hash or the fingerprint has changed")
	}
	stat, err := os.Stat(file)
	if err != nil || stat.Mode().Perm() != 0o600 {
		t.Fatalf("want mode 0600, got %v, %v", stat.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Fatalf("want only the key file, got %v, %v", left, err)
	}
}

func TestC2_SealedContentOpensOnlyWholeAndInItsPlace(t *testing.T) {
	keys, _ := newKeys(t)
	content, other := []byte("the salaries of 2026"), []byte("the salaries of 2025")
	h, otherHash := hashOf(keys, content), hashOf(keys, other)
	sealed, err := keys.Seal(h, content)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := keys.Seal(otherHash, other)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(how string, h Hash, sealed []byte) {
		t.Helper()
		if opened, err := keys.Open(h, sealed); !errors.Is(err, ErrSealed) || opened != nil {
			t.Errorf("%s: want ErrSealed, got %q, %v", how, opened, err)
		}
	}
	refused("another row's content", h, swapped)
	refused("in another row", otherHash, sealed)
	refused("in a row without a hash", Hash{}, sealed)
	refused("empty", h, nil)
	for n := range sealed {
		refused("cut", h, sealed[:n])
		for _, bit := range []byte{0x01, 0x80} {
			flipped := bytes.Clone(sealed)
			flipped[n] ^= bit
			refused("flipped", h, flipped)
		}
	}
	refused("longer", h, append(bytes.Clone(sealed), 0))
	stranger, _ := newKeys(t)
	if _, err := stranger.Open(h, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another installation's keys: want ErrSealed, got %v", err)
	}
}

func TestC2_SealingTwiceGivesDifferentCiphertext(t *testing.T) {
	keys, _ := newKeys(t)
	h := hashOf(keys, nil)
	seen := map[string]bool{}
	for range 10_000 {
		sealed, err := keys.Seal(h, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(sealed)] {
			t.Fatal("a nonce came twice")
		}
		seen[string(sealed)] = true
	}
}

func TestC1_HashAndCiphertextTellNothingWithoutTheKeys(t *testing.T) {
	keys, _ := newKeys(t)
	stranger, _ := newKeys(t)
	content := []byte("CANARY-7d1f CANARY-7d1f")
	if h := hashOf(keys, content); h == Hash(sha256.Sum256(content)) || h == hashOf(stranger, content) || h != hashOf(keys, content) {
		t.Fatal("the hash is not keyed, or not the same for the same content")
	}
	sealed, err := keys.Seal(hashOf(keys, content), content)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("CANARY")) {
		t.Fatal("the ciphertext shows the content")
	}
	if keys.Fingerprint() == stranger.Fingerprint() {
		t.Fatal("two installations have one fingerprint")
	}
}

func TestC3_AMissingShortOrWrongKeyFileIsRefusedInAClearSentence(t *testing.T) {
	_, file := newKeys(t)
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	public := write("public.json", good)
	if err := os.Chmod(public, 0o644); err != nil {
		t.Fatal(err)
	}
	swapped := strings.NewReplacer(`"sealing"`, `"hashing"`, `"hashing"`, `"sealing"`).Replace(string(good))
	for _, c := range []struct{ name, file, want string }{
		{"missing", filepath.Join(dir, "none.json"), "restore it from your backup"},
		{"empty", write("empty.json", nil), "damaged"},
		{"short", write("short.json", good[:len(good)/2]), "damaged"},
		{"text", write("text.json", []byte("hello")), "damaged"},
		{"other JSON", write("other.json", []byte(`{"a":1}`)), "format"},
		{"another format", write("format.json", bytes.Replace(good, []byte("keys/1"), []byte("keys/9"), 1)), "format"},
		{"no keys", write("nokeys.json", []byte(`{"format":"vivarium-keys/1","sealing":{},"hashing":{}}`)), "sealing keys"},
		{"keys of the wrong kind", write("swapped.json", []byte(swapped)), "another kind"},
		{"huge", write("huge.json", make([]byte, 2<<20)), "too large"},
		{"open to everybody", public, "chmod 600"},
		{"a folder", dir, "not a regular file"},
	} {
		keys, err := LoadKeys(c.file, false)
		if err == nil || keys != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", c.name, c.want, err)
		}
		if err != nil && strings.Contains(err.Error(), "\"value\"") {
			t.Errorf("%s: the error shows a part of a key", c.name)
		}
	}
	if _, err := LoadKeys(write("keep.json", []byte("hello")), true); err == nil {
		t.Error("a damaged file is taken")
	}
	if kept, err := os.ReadFile(filepath.Join(dir, "keep.json")); err != nil || string(kept) != "hello" {
		t.Errorf("a damaged file was replaced: %q, %v", kept, err)
	}
}

func TestTwoServersThatMakeTheKeysAtOnceAgree(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	var prints sync.Map
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			keys, err := LoadKeys(file, true)
			if err != nil {
				t.Error(err)
				return
			}
			prints.Store(keys.Fingerprint(), true)
		})
	}
	wg.Wait()
	n := 0
	prints.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Fatalf("want one set of keys, got %d", n)
	}
}

func TestMakingKeysNeverReplacesAny(t *testing.T) {
	keys, file := newKeys(t)
	if err := createKeysFile(file); err != nil { // as a server that saw no file a moment ago
		t.Fatal(err)
	}
	again, err := LoadKeys(file, true)
	if err != nil || again.Fingerprint() != keys.Fingerprint() {
		t.Fatalf("the keys were replaced: %v", err)
	}
}
