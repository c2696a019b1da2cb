package files

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/agentproto"
)

// place is a workspace with a handler for it.
type place struct {
	t       *testing.T
	root    string
	worker  *Worker
	handler http.Handler
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{t: t, root: t.TempDir()}
	worker, handler, err := newWorker(p.root, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.worker, p.handler = worker, handler
	t.Cleanup(func() { unix.Close(worker.tree.root) })
	return p
}

func (p *place) path(rel string) string { return filepath.Join(p.root, rel) }

func (p *place) write(rel, content string) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(rel)), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path(rel), []byte(content), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) do(method, target, body string) *httptest.ResponseRecorder {
	p.t.Helper()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

func (p *place) scan(request string) []agentproto.Line {
	p.t.Helper()
	var lines []agentproto.Line
	answer := bufio.NewScanner(p.do("POST", "/v1/files/scan", request).Body)
	for answer.Scan() {
		var line agentproto.Line
		if err := json.Unmarshal(answer.Bytes(), &line); err != nil {
			p.t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestF4_NothingIsFollowedWithOrWithoutOpenat2(t *testing.T) {
	for _, walk := range []bool{false, true} {
		t.Run(fmt.Sprint("walk ", walk), func(t *testing.T) {
			p := newPlace(t)
			p.worker.tree.walk.Store(walk)
			outside := t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "canary"), []byte("canary"), 0o644); err != nil {
				t.Fatal(err)
			}
			p.write("real/inner/file", "x")
			for name, target := range map[string]string{"link": outside, "real/up": "../..", "file": filepath.Join(outside, "canary"), "inside": "real"} {
				if err := os.Symlink(target, p.path(name)); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{"link/canary", "real/up/canary", "file", "inside/inner/file"} {
				if w := p.do("GET", "/v1/files/content?path="+path, ""); w.Code != http.StatusConflict {
					t.Errorf("reading %s: want 409, got %d %s", path, w.Code, w.Body)
				}
				if w := p.do("PUT", "/v1/files/content?expect=any&path="+path, "new"); path != "file" && w.Code != http.StatusConflict {
					t.Errorf("writing %s: want 409, got %d %s", path, w.Code, w.Body)
				}
			}
			if w := p.do("GET", "/v1/files/content?path=real/inner/file", ""); w.Code != 200 || w.Body.String() != "x" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if w := p.do("PUT", "/v1/files/content?expect=absent&path=made/on/the/way", "new"); w.Code != 204 {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if w := p.do("POST", "/v1/files/folder?path=link/new", ""); w.Code != http.StatusConflict {
				t.Errorf("making a folder behind a link: got %d %s", w.Code, w.Body)
			}
			left, err := os.ReadDir(outside)
			if err != nil || len(left) != 1 {
				t.Errorf("outside was changed: %v, %v", left, err)
			}
		})
	}
}

func TestF1_PathsThatLeadElsewhereAreRefused(t *testing.T) {
	p := newPlace(t)
	for _, path := range []string{"", ".", "..", "../x", "a/../../x", "/etc/x", "//x", "a//b", "a/./b", "a/", "a%00b", strings.Repeat("x/", 2048) + "x",
		agentproto.ReservedPrefix + "x", "a/" + agentproto.ReservedPrefix + "x/b"} {
		for _, request := range []struct{ method, target string }{
			{"GET", "/v1/files/content?path="}, {"PUT", "/v1/files/content?expect=any&path="}, {"DELETE", "/v1/files/item?expect=any&path="},
			{"POST", "/v1/files/folder?path="}, {"POST", "/v1/files/link?target=x&expect=any&path="},
		} {
			if w := p.do(request.method, request.target+path, "x"); w.Code != http.StatusUnprocessableEntity {
				t.Errorf("%s %q: want 422, got %d %s", request.method, path, w.Code, w.Body)
			}
		}
	}
}

func TestF7_ArchivesThatLeadElsewhereAreRefused(t *testing.T) {
	outside := t.TempDir()
	for name, headers := range map[string][]tar.Header{
		"a path that leads out":   {{Name: "../x", Typeflag: tar.TypeReg}},
		"an absolute path":        {{Name: "/etc/x", Typeflag: tar.TypeReg}},
		"a file through a link":   {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/x", Typeflag: tar.TypeReg}},
		"a folder through a link": {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, {Name: "l/d/", Typeflag: tar.TypeDir}},
		"a device":                {{Name: "d", Typeflag: tar.TypeChar}},
		"a hard link":             {{Name: "h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			var archive bytes.Buffer
			w := tar.NewWriter(&archive)
			for _, h := range headers {
				if err := w.WriteHeader(&h); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := p.do("POST", "/v1/files/load", archive.String()); got.Code/100 != 4 {
				t.Errorf("want it refused, got %d %s", got.Code, got.Body)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("outside was changed: %v, %v", left, err)
			}
		})
	}
	t.Run("it is cut short", func(t *testing.T) {
		p := newPlace(t)
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		if err := w.WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Size: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if got := p.do("POST", "/v1/files/load", archive.String()+"half"); got.Code != http.StatusUnprocessableEntity {
			t.Errorf("want 422, got %d %s", got.Code, got.Body)
		}
		if left, err := os.ReadDir(p.root); err != nil || len(left) > 0 {
			t.Errorf("half a file is left: %v, %v", left, err)
		}
	})
}

func TestAScanThatFailsOnTheWayDoesNotSayComplete(t *testing.T) {
	p := newPlace(t)
	for i := range 20 {
		p.write(fmt.Sprint("f", i), "x")
	}
	lines := p.scan(`{"maxEntries":10}`)
	last := lines[len(lines)-1]
	if last.Complete || last.Error == nil || last.Error.Kind != agentproto.Exhausted {
		t.Fatalf("want the failure as the last line, got %+v", last)
	}
	// The same when the reader goes away in the middle.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "POST", "/v1/files/scan", strings.NewReader(`{}`)))
	if strings.Contains(w.Body.String(), "complete") {
		t.Fatalf("got %s", w.Body)
	}
}

func TestASumIsRememberedOnlyWhenNoChangeCouldHide(t *testing.T) {
	p := newPlace(t)
	p.write("f", "one")
	stat := func() *unix.Stat_t {
		s, err := lstat(p.worker.tree.root, "f")
		if err != nil {
			t.Fatal(err)
		}
		return &s
	}
	sum := sha256.Sum256([]byte("one"))
	s := p.worker.sums
	s.put(stat(), sum, time.Now())
	if _, ok := s.get(stat()); ok {
		t.Fatal("the sum of a file that was changed just now is remembered")
	}
	s.put(stat(), sum, time.Now().Add(2*racy))
	if got, ok := s.get(stat()); !ok || got != sum {
		t.Fatal("the sum of a quiet file is not remembered")
	}
	for what, change := range map[string]func() error{
		"its times are put back": func() error {
			old := time.Unix(stat().Mtim.Unix())
			if err := os.WriteFile(p.path("f"), []byte("two"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(p.path("f"), old, old)
		},
		"it is another file": func() error {
			if err := os.WriteFile(p.path("g"), []byte("six"), 0o644); err != nil {
				return err
			}
			return os.Rename(p.path("g"), p.path("f"))
		},
	} {
		s.put(stat(), sum, time.Now().Add(2*racy))
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.get(stat()); ok {
			t.Errorf("the old sum is believed although %s", what)
		}
	}
}

func TestTheLeavingsOfAKilledWorkerAreSwept(t *testing.T) {
	p := newPlace(t)
	fresh, old := agentproto.ReservedPrefix+"fresh", agentproto.ReservedPrefix+"old"
	p.write(fresh, "x")
	p.write("d/"+old, "x")
	past := time.Now().Add(-2 * stale)
	if err := os.Chtimes(p.path("d/"+old), past, past); err != nil {
		t.Fatal(err)
	}
	lines := p.scan(`{}`)
	if len(lines) != 2 || lines[0].Path != "d" {
		t.Fatalf("want only the folder, got %+v", lines)
	}
	if _, err := os.Stat(p.path(fresh)); err != nil {
		t.Error("a temporary file that is in use was removed")
	}
	if _, err := os.Stat(p.path("d/" + old)); err == nil {
		t.Error("an old temporary file is left")
	}
}

func TestABatchIsBounded(t *testing.T) {
	b := newBatch()
	for i := range 10 * agentproto.MaxWatchPaths {
		b.add(fmt.Sprint(i), false)
	}
	if got := b.take(); !got.All || len(got.Paths) > 0 {
		t.Fatalf("want all, got %d paths", len(got.Paths))
	}
	b.add("a\xff/b", false)
	b.add("c", false)
	if got := b.take(); !got.All {
		t.Fatalf("want all for a name at the root that JSON cannot carry, got %+v", got)
	}
	b.add("dir/\xff/x", false)
	if got := b.take(); got.All || len(got.Paths) != 1 || got.Paths[0] != "dir" {
		t.Fatalf("want the folder, got %+v", got)
	}
	for i := range agentproto.MaxWatchPaths {
		b.add(strings.Repeat("\x01", 200)+fmt.Sprint(i), false)
	}
	if got := line(b.take()); len(got) > agentproto.MaxLine || string(got) != "{\"all\":true}\n" {
		t.Fatalf("got a line of %d bytes", len(got))
	}
}

func TestWithoutWatchesChangesAreLookedForAllTheSame(t *testing.T) {
	p := newPlace(t)
	n, err := newInotify(p.worker.tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	n.full = true
	n.add("", 0)
	if len(n.byWD) > 0 {
		t.Fatal("a full watch takes more")
	}
	b := newBatch()
	b.poll()
	ctx, cancel := context.WithTimeout(context.Background(), 3*pollEvery)
	defer cancel()
	lines := &countingWriter{header: http.Header{}, enough: func(n int) {
		if n == 2 {
			cancel()
		}
	}}
	begun := time.Now()
	b.send(ctx, lines)
	if lines.n != 2 || time.Since(begun) < 2*pollEvery-time.Second {
		t.Fatalf("want a line every two seconds, got %d in %v", lines.n, time.Since(begun))
	}
}

type countingWriter struct {
	header http.Header
	n      int
	enough func(int)
}

func (w *countingWriter) Header() http.Header { return w.header }
func (w *countingWriter) WriteHeader(int)     {}
func (w *countingWriter) Flush()              {}
func (w *countingWriter) Write(p []byte) (int, error) {
	w.n++
	w.enough(w.n)
	return len(p), nil
}
