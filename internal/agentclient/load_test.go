package agentclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

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
