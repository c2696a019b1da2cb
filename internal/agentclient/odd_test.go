package agentclient

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

func TestF4_LinksAreNeverFollowed(t *testing.T) {
	b := newBox(t)
	c := b.client()
	outside := filepath.Join(b.home, "canary")
	if err := os.WriteFile(outside, []byte("canary"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"absolute": outside, "environ": "/proc/self/environ", "up": "..", "loop": "loop", "dangling": "none",
		"home": b.home} {
		if err := os.Symlink(target, b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	found := scan(t, c)
	for name, e := range found {
		if e.Kind != workspace.Link || e.Problem != "" {
			t.Errorf("%s: want a link, got %+v", name, e)
		}
	}
	if len(found) != 6 {
		t.Fatalf("got %v", names(found))
	}
	for _, path := range []string{"absolute", "environ", "loop", "home/canary", "up/home/canary"} {
		if content, err := c.Read(b.ctx(), path, 1000); err == nil {
			t.Errorf("%s was read: %q", path, content)
		}
		if err := c.Put(b.ctx(), path, []byte("overwritten"), false, workspace.Expect{}); err == nil {
			t.Errorf("%s was written", path)
		}
		if err := c.Remove(b.ctx(), path, fileExpect("canary", false)); err == nil {
			t.Errorf("%s was removed", path)
		}
	}
	if len(scan(t, c, "home/canary")) != 0 {
		t.Error("something behind a link was listed")
	}
	// Saving over a link replaces the link, not what it points to.
	if err := c.Put(b.ctx(), "absolute", []byte("mine"), false, workspace.Expect{Kind: workspace.Link, Target: outside}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "canary" {
		t.Fatalf("a file outside was changed: %q, %v", got, err)
	}
}

func TestF4_AFolderSwappedForALinkWithoutPauseLeadsNowhere(t *testing.T) {
	b := newBox(t)
	c := b.client()
	outside := filepath.Join(b.home, "outside")
	for _, dir := range []string{outside, b.path("dir")} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("canary"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, b.path("link")); err != nil {
		t.Fatal(err)
	}
	swap := run(t, c, "swap", filepath.Join(filepath.Dir(program), "swap"), "dir", "link")
	swap.until("swapping")
	acked := 0
	for i := range 400 {
		err := c.Put(b.ctx(), "dir/file", []byte(fmt.Sprint(i)), false, workspace.Expect{Any: true})
		switch {
		case err == nil:
			acked++
		case fault.KindOf(err) == fault.Internal || fault.Is(err, fault.Timeout) || fault.Is(err, fault.Unavailable):
			t.Errorf("save %d failed without saying why: %v", i, err)
		}
		if content, err := c.Read(b.ctx(), "dir/secret", 1000); err == nil {
			t.Fatalf("read %q through a link", content)
		}
		if i%4 == 0 {
			for p, e := range scan(t, c) {
				if strings.HasSuffix(p, "secret") {
					t.Fatalf("listed through a link: %+v", e)
				}
			}
		}
	}
	if acked == 0 {
		t.Fatal("want some saves to succeed")
	}
	if list, err := c.Terminals(b.ctx()); err != nil || len(list) != 1 || list[0].Exit != nil {
		t.Fatalf("the swapping has ended: %+v, %v", list, err)
	}
	left, err := os.ReadDir(outside)
	if err != nil || len(left) != 1 {
		t.Fatalf("something was written outside: %v, %v", left, err)
	}
}

func TestF5_OddFilesAreReportedAndHoldNothingUp(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("good.txt", "good")
	b.write("locked", "x")
	b.write("private/inner", "x")
	b.write("setuid", "x")
	b.write("line\nbreak", "x")
	b.write("bad\xff", "x")
	b.write("dir\xfe/inner", "x")
	b.write("big", strings.Repeat("x", 5<<20))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(unix.Mkfifo(b.path("fifo"), 0o666))
	sparse, err := os.Create(b.path("sparse"))
	must(err)
	must(sparse.Truncate(1 << 40))
	must(sparse.Close())
	must(unix.Mknod(b.path("socket"), unix.S_IFSOCK|0o666, 0))
	must(os.Chmod(b.path("setuid"), 0o755|os.ModeSetuid))
	odd := []string{"setuid", "line\nbreak", "bad\uFFFD", "dir\uFFFD", "dir\uFFFD/inner", "fifo", "sparse", "socket", "big"}
	if privileged() || os.Getuid() != 0 {
		must(os.Chmod(b.path("locked"), 0))
		must(os.Chmod(b.path("private"), 0))
		odd = append(odd, "locked", "private")
	}
	begun := time.Now()
	found := scan(t, c)
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the scan took %v", took)
	}
	if e := found["good.txt"]; e.Problem != "" || e.Sum != sha256.Sum256([]byte("good")) {
		t.Errorf("got %+v", e)
	}
	for _, path := range odd {
		if e, ok := found[path]; !ok || e.Problem == "" {
			t.Errorf("%q: want a problem, got %+v", path, e)
		}
	}
	if len(found) != len(odd)+1 {
		t.Errorf("got %q", names(found))
	}
	for _, path := range []string{"fifo", "socket", "sparse"} {
		if _, err := c.Read(b.ctx(), path, 1000); err == nil || fault.Is(err, fault.Timeout) {
			t.Errorf("reading %s: got %v", path, err)
		}
		if err := c.Put(b.ctx(), path, []byte("x"), false, fileExpect("y", false)); !fault.Is(err, fault.Conflict) {
			t.Errorf("writing %s: want Conflict, got %v", path, err)
		}
	}
}

func TestF5_AFileThatGrowsIsReadAsFarAsItWas(t *testing.T) {
	b := newBox(t)
	c := b.client()
	s := run(t, c, "grow", "sh", "-c", "while :; do echo growing; done > log & echo ready; sleep 30; kill $!")
	s.until("ready")
	for range 20 {
		if e := scan(t, c)["log"]; e.Problem != "" && e.Size <= b.options().MaxFile {
			t.Fatalf("got %+v", e)
		}
		content, err := c.Read(b.ctx(), "log", b.options().MaxFile)
		if fault.Is(err, fault.TooLarge) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if rest := bytes.ReplaceAll(content, []byte("growing\n"), nil); len(rest) > len("growing") {
			t.Fatalf("got a mixture: %q", rest)
		}
	}
	if err := c.CloseTerminal(b.ctx(), "grow"); err != nil {
		t.Fatal(err)
	}
}

func TestF6_ADeepTreeIsListedAsFarAsItCanBeStored(t *testing.T) {
	b := newBox(t)
	c := b.client()
	deep := strings.TrimSuffix(strings.Repeat("d/", 300), "/")
	b.write(deep+"/file", "x")
	b.write("other", "x")
	found := scan(t, c)
	if found["other"].Problem != "" {
		t.Fatalf("got %+v", found["other"])
	}
	at := func(depth int) workspace.Entry { return found[strings.TrimSuffix(strings.Repeat("d/", depth), "/")] }
	if at(32).Problem != "" || at(32).Kind != workspace.Folder || at(33).Problem == "" || len(found) != 34 {
		t.Fatalf("got %+v and %+v of %d", at(32), at(33), len(found))
	}
}

func TestF6_TooManyFilesFailTheScanAndNothingElse(t *testing.T) {
	b := newBox(t)
	for i := range 50 {
		b.write(fmt.Sprint("f", i), "x")
	}
	few := b.options()
	few.MaxEntries = 49
	c, err := Connect(b.ctx(), b.stdio, few)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Scan(b.ctx(), nil); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("want Exhausted, got %v", err)
	}
	if found := scan(t, c, "f1", "f2", "none"); len(found) != 2 {
		t.Fatalf("got %v", names(found))
	}
}
