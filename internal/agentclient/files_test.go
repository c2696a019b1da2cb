package agentclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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
