package agentclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

func scan(t *testing.T, c *Client, paths ...string) map[string]workspace.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	entries, err := c.Scan(ctx, paths)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]workspace.Entry{}
	for _, e := range entries {
		found[e.Path] = e
	}
	return found
}

func names(found map[string]workspace.Entry) []string {
	var list []string
	for p := range found {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

func fileExpect(content string, executable bool) workspace.Expect {
	return workspace.Expect{Kind: workspace.File, Sum: sha256.Sum256([]byte(content)), Executable: executable}
}

func TestAFileGoesThereAndBack(t *testing.T) {
	b := newBox(t)
	c := b.client()
	content := make([]byte, 256)
	for i := range content {
		content[i] = byte(i)
	}
	for _, path := range []string{"a.bin", "deep/er/ü name 'with' $(odd) \\ things", "-rf", "%2e%2e%2f"} {
		if err := c.Put(b.ctx(), path, content, true, workspace.Expect{}); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		got, err := c.Read(b.ctx(), path, 1000)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%s: %v", path, err)
		}
		if b.read(path) != string(content) {
			t.Fatalf("%s differs in the sandbox", path)
		}
		e := scan(t, c)[path]
		if e.Kind != workspace.File || !e.Executable || e.Size != 256 || e.Sum != sha256.Sum256(content) || e.Problem != "" {
			t.Fatalf("got %+v", e)
		}
		stat, err := os.Stat(b.path(path))
		if err != nil || stat.Mode() != 0o755 {
			t.Fatalf("want mode 755, got %v, %v", stat.Mode(), err)
		}
	}
	if err := c.Put(b.ctx(), "empty", nil, false, workspace.Expect{}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(b.ctx(), "empty", 0); err != nil || len(got) != 0 {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := c.Read(b.ctx(), "a.bin", 255); !fault.Is(err, fault.TooLarge) {
		t.Fatalf("want TooLarge, got %v", err)
	}
	if _, err := c.Read(b.ctx(), "none", 255); !fault.Is(err, fault.NotFound) {
		t.Fatalf("want NotFound, got %v", err)
	}
	if _, err := c.Read(b.ctx(), "deep", 255); !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict for a folder, got %v", err)
	}
}

func TestALargeFileGoesThereAndBack(t *testing.T) {
	b := newBox(t)
	c := b.client()
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	if err := c.Put(b.ctx(), "large", content, false, workspace.Expect{}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(b.ctx(), "large", 4<<20); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func TestAChangeIsMadeOnlyWhenItsExpectationHolds(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("file", "old")
	b.write("folder/inner", "x")
	if err := c.MakeLink(b.ctx(), "link", "../target", workspace.Expect{}); err != nil {
		t.Fatal(err)
	}
	isFile, isFolder, isLink := fileExpect("old", false), workspace.Expect{Kind: workspace.Folder}, workspace.Expect{Kind: workspace.Link, Target: "../target"}
	for _, row := range []struct {
		name string
		path string
		ok   bool
		e    workspace.Expect
	}{
		{"nothing is expected where a file is", "file", false, workspace.Expect{}},
		{"other content is expected", "file", false, fileExpect("new", false)},
		{"another mode is expected", "file", false, fileExpect("old", true)},
		{"a link is expected where a file is", "file", false, isLink},
		{"a folder is expected where a file is", "file", false, isFolder},
		{"another target is expected", "link", false, workspace.Expect{Kind: workspace.Link, Target: "elsewhere"}},
		{"a file is expected where a link is", "link", false, isFile},
		{"a file is expected where nothing is", "none", false, isFile},
		{"a folder is there", "folder", false, isFolder},
		{"whatever is there, but a folder", "folder", false, workspace.Expect{Any: true}},
		{"a file is above", "file/below", false, workspace.Expect{}},
		{"a link is above", "link/below", false, workspace.Expect{}},
		{"the file is as expected", "file", true, isFile},
		{"the link is as expected", "link", true, isLink},
		{"whatever is there", "file", true, workspace.Expect{Any: true}},
		{"whatever is not there", "new/one", true, workspace.Expect{Any: true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := scan(t, c)
			err := c.Put(b.ctx(), row.path, []byte("new"), false, row.e)
			if row.ok {
				if err != nil {
					t.Fatal(err)
				}
				if got := scan(t, c)[row.path]; got.Kind != workspace.File || got.Sum != sha256.Sum256([]byte("new")) {
					t.Fatalf("got %+v", got)
				}
				return
			}
			if !fault.Is(err, fault.Conflict) {
				t.Fatalf("want Conflict, got %v", err)
			}
			if after := scan(t, c); !equal(before, after) {
				t.Fatalf("something was changed: %v, %v", before, after)
			}
		})
	}
	leftovers, err := filepath.Glob(b.path(".vivarium*"))
	if err != nil || len(leftovers) > 0 {
		t.Fatalf("temporary files are left: %v", leftovers)
	}
}

func equal(a, b map[string]workspace.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for p, e := range a {
		if b[p] != e {
			return false
		}
	}
	return true
}

func TestRemoving(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("file", "x")
	b.write("full/inner", "x")
	b.write("cached/__pycache__/m.pyc", "x")
	folder := workspace.Expect{Kind: workspace.Folder}
	if err := c.Remove(b.ctx(), "file", fileExpect("y", false)); !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict, got %v", err)
	}
	if err := c.Remove(b.ctx(), "file", fileExpect("x", false)); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(b.ctx(), "full", folder); !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict for a folder that is not empty, got %v", err)
	}
	if err := c.Remove(b.ctx(), "cached", folder); err != nil {
		t.Fatalf("want a folder with nothing but caches removed, got %v", err)
	}
	if err := c.MakeLink(b.ctx(), "link", "full", workspace.Expect{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(b.ctx(), "link", workspace.Expect{Kind: workspace.Link, Target: "full"}); err != nil {
		t.Fatal(err)
	}
	if got := names(scan(t, c)); !slices.Equal(got, []string{"full", "full/inner"}) {
		t.Fatalf("left: %v", got)
	}
	if err := c.MakeFolder(b.ctx(), "full/a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := c.MakeFolder(b.ctx(), "full/a"); err != nil {
		t.Fatalf("want a folder that exists accepted, got %v", err)
	}
	if err := c.MakeFolder(b.ctx(), "full/inner"); !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict where a file is, got %v", err)
	}
}

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

func TestAScanOfSomePathsListsThemAndWhatIsBelow(t *testing.T) {
	b := newBox(t)
	c := b.client()
	for _, p := range []string{"a/b/c", "a/d", "ab", "__pycache__/x", "a/node_modules/y", "z"} {
		b.write(p, p)
	}
	if got, want := names(scan(t, c, "a", "a/b", "ab", "none/at/all", "ab/no", "__pycache__/x")), []string{"a", "a/b", "a/b/c", "a/d", "ab"}; !slices.Equal(got, want) {
		t.Fatalf("want %v, got %v", want, got)
	}
	if got, want := names(scan(t, c, "a/b/c")), []string{"a/b/c"}; !slices.Equal(got, want) {
		t.Fatalf("want %v, got %v", want, got)
	}
	if got, want := names(scan(t, c)), []string{"a", "a/b", "a/b/c", "a/d", "ab", "z"}; !slices.Equal(got, want) {
		t.Fatalf("want %v, got %v", want, got)
	}
}

func TestAChangeThatLeavesTheSizeIsSeenAtOnce(t *testing.T) {
	b := newBox(t)
	c := b.client()
	for i := range 100 {
		content := fmt.Sprintf("%04d", i)
		b.write("f", content)
		if got := scan(t, c)["f"].Sum; got != sha256.Sum256([]byte(content)) {
			t.Fatalf("round %d: the sum is of older content", i)
		}
	}
}

func TestAFileThatIsReplacedWithoutPauseIsNeverMissing(t *testing.T) {
	b := newBox(t)
	c := b.client()
	for i := range 200 {
		b.write(fmt.Sprint("other", i), "x")
	}
	b.write("kept", "0")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			temp := b.path(fmt.Sprint("temp", i%7))
			if os.WriteFile(temp, []byte(fmt.Sprint(i)), 0o644) == nil {
				_ = os.Rename(temp, b.path("kept"))
			}
		}
	}()
	for range 100 {
		if e, ok := scan(t, c)["kept"]; !ok {
			t.Error("a file that was there all the time is missing")
		} else if e.Problem != "" {
			t.Errorf("got %+v", e)
		}
	}
	close(stop)
	<-stopped
}

func items(n int, content []byte) func() (workspace.Entry, io.Reader, error) {
	i := 0
	return func() (workspace.Entry, io.Reader, error) {
		if i == n {
			return workspace.Entry{}, nil, io.EOF
		}
		e := workspace.Entry{Path: fmt.Sprintf("d%d/f%d", i/100, i), Kind: workspace.File, Size: int64(len(content))}
		i++
		return e, bytes.NewReader(content), nil
	}
}

func TestLoadingTenThousandFilesIsQuick(t *testing.T) {
	b := newBox(t)
	c := b.client()
	begun := time.Now()
	if err := c.Load(b.ctx(), items(10_000, bytes.Repeat([]byte("x"), 1024))); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begun)
	t.Logf("loaded in %v", took)
	begun = time.Now()
	if found := scan(t, c); len(found) != 10_100 {
		t.Fatalf("got %d", len(found))
	}
	t.Logf("scanned in %v", time.Since(begun))
	if took > 15*time.Second {
		t.Errorf("loading took %v", took)
	}
}

func TestLoadingLeavesWhatIsThere(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("kept", "mine")
	list := []workspace.Entry{{Path: "kept", Kind: workspace.File, Size: 3}, {Path: "dir", Kind: workspace.Folder},
		{Path: "dir/run", Kind: workspace.File, Size: 3, Executable: true}, {Path: "l", Kind: workspace.Link, Target: "dir/run"}}
	i := -1
	err := c.Load(b.ctx(), func() (workspace.Entry, io.Reader, error) {
		if i++; i == len(list) {
			return workspace.Entry{}, nil, io.EOF
		}
		return list[i], strings.NewReader("new"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := scan(t, c)
	if b.read("kept") != "mine" || !found["dir/run"].Executable || found["l"].Target != "dir/run" || len(found) != 4 {
		t.Fatalf("got %+v", found)
	}
}

func TestF7_ALoadThatFailsSaysWhy(t *testing.T) {
	b := newBox(t)
	c := b.client()
	cause := errors.New("the store is down")
	err := c.Load(b.ctx(), func() (workspace.Entry, io.Reader, error) { return workspace.Entry{}, nil, cause })
	if !errors.Is(err, cause) {
		t.Fatalf("want the cause, got %v", err)
	}
	b.write("file", "x")
	one, more := false, items(5000, []byte("x"))
	err = c.Load(b.ctx(), func() (workspace.Entry, io.Reader, error) {
		if one {
			return more()
		}
		one = true
		return workspace.Entry{Path: "file/below", Kind: workspace.File, Size: 1}, strings.NewReader("x"), nil
	})
	if !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict for a file where a folder must be, got %v", err)
	}
}

func TestAWorkerThatItsUserKillsComesBack(t *testing.T) {
	b := newBox(t)
	c := b.client()
	b.write("file", "x")
	scan(t, c)
	for range 3 {
		s := run(t, c, "kill", "sh", "-c", `for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^vivarium-agent files' && kill -9 ${p#/proc/}; done; echo killed`)
		s.toEnd()
		if err := c.CloseTerminal(b.ctx(), "kill"); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Read(b.ctx(), "file", 100); err != nil || string(got) != "x" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}
