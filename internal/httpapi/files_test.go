package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// pathCases are names at the doors of the server: what is refused, and what comes through byte for byte.
var pathCases = []struct {
	path string
	ok   bool
}{
	{"prog.py", true}, {"a/b/c.txt", true}, {".hidden", true}, {"-rf", true}, {"~", true}, {"$(id)", true}, {"'; touch /tmp/pwn; '", true},
	{`C:\x`, true}, {`back\slash`, true}, {"per%cent", true}, {"%2e%2e", true}, {"é", true}, {"日本語.py", true}, {"a b", true}, {"a?b#c&d=e", true},
	{`quote"s`, true}, {strings.Repeat("n", 255), true},
	{"", false}, {".", false}, {"..", false}, {"../x", false}, {"a/../../x", false}, {"/etc/x", false}, {"//x", false}, {"a//b", false}, {"a/./b", false},
	{"a/", false}, {"nul\x00", false}, {"cr\rlf\n", false}, {"esc\x1b[31m", false}, {"bidi\u202etxt", false}, {"\u200b", false}, {"e\u0301", false},
	{"bad\xff", false}, {"\ufffd", false}, {strings.Repeat("n", 256), false}, {strings.Repeat("p/", 512) + "x", false}, {strings.Repeat("p", 4097), false},
	{strings.Repeat("d/", 32) + "x", false}, {"__pycache__/x.pyc", false},
}

// escape encodes a path as the web client does: each part once, the slashes stay.
func escape(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

func TestF1_PathsInURLs(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for _, c := range pathCases {
		got := ada.file("PUT", escape(c.path), "content", "If-None-Match", "*")
		if !c.ok {
			refused(t, c.path, got)
			continue
		}
		if got.status != 201 {
			t.Errorf("%q: want it saved, got %d %s", c.path, got.status, got.body)
			continue
		}
		var item Item
		if err := json.Unmarshal([]byte(got.body), &item); err != nil || item.Path != c.path {
			t.Errorf("%q came through as %q", c.path, item.Path)
		}
		want(t, "reading "+c.path, ada.file("GET", escape(c.path), ""), 200)
	}
	if tree := ada.json("GET", "/workspaces/"+ada.workspace+"/tree", ""); strings.Contains(tree.body, "pwn\"") || strings.Contains(tree.body, "\\ufffd") {
		t.Errorf("something was stored that should not be: %s", tree.body)
	}
}

// refused fails unless the path was refused with a field and a reason.
func refused(t *testing.T, path string, got answer) {
	t.Helper()
	if got.status != 422 && got.status != 400 {
		t.Errorf("%.40q: want it refused, got %d %s", path, got.status, got.body)
		return
	}
	p := got.problem(t)
	if len(p.Errors) == 0 || p.Errors[0].Location == "" || len(p.Errors[0].Message) < 10 {
		t.Errorf("%.40q: want the field and a reason, got %s", path, got.body)
	}
}

func TestF1_PathsInURLsAreDecodedExactlyOnce(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	want(t, "a name with a percent sign", ada.file("PUT", "%252e%252e", "x", "If-None-Match", "*"), 201)
	if tree := ada.json("GET", "/workspaces/"+ada.workspace+"/tree", ""); !strings.Contains(tree.body, `"path":"%2e%2e"`) {
		t.Errorf("want the name %%2e%%2e, got %s", tree.body)
	}
	for _, path := range []string{"%2e%2e%2fx", "%2e%2e/x", "a/%2e%2e/x", "..%2fx", "../x", "a/../x", "./x", "a//x", "a%2f%2fx", "%00"} {
		got := ada.file("GET", path, "")
		if got.header.Get("Location") != "" {
			t.Errorf("%s: redirected to %s", path, got.header.Get("Location"))
		}
		refused(t, path, got)
	}
	want(t, "an encoded slash is a slash", ada.file("PUT", "dir%2Ffile", "x", "If-None-Match", "*"), 201)
	want(t, "the same file", ada.file("GET", "dir/file", ""), 200)
}

func TestF1_PathsInBodies(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	want(t, "something to move", ada.file("PUT", "from", "x", "If-None-Match", "*"), 201)
	for i, c := range pathCases {
		name, err := json.Marshal(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(c.path, "\xff") {
			name = []byte(`"` + c.path + `"`) // Marshal would have made U+FFFD of it
		}
		folder := ada.json("POST", "/workspaces/"+ada.workspace+"/folders", `{"path":`+string(name)+`}`)
		to := ada.json("POST", "/workspaces/"+ada.workspace+"/move", `{"from":"from","to":`+string(name)+`}`)
		if !c.ok {
			refused(t, "folder "+c.path, folder)
			refused(t, "move to "+c.path, to)
			continue
		}
		want(t, "folder "+c.path, folder, 201)
		want(t, "move onto the folder", to, 409)
		if i%5 == 0 {
			want(t, "remove the folder", ada.file("DELETE", escape(c.path), ""), 204)
		}
	}
}

func TestF2_ContentComesBackAsItWasSaved(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, content := range map[string]string{"all bytes": string(all), "CRLF": "a\r\nb\r\n", "BOM": "\ufeffprint()", "no last newline": "a\nb", "empty": "",
		"NUL": "a\x00b", "large": strings.Repeat("0123456789abcdef", 1<<16)} {
		path := escape(name)
		want(t, "saving "+name, ada.file("PUT", path, content, "If-None-Match", "*"), 201)
		got := want(t, "reading "+name, ada.file("GET", path, ""), 200)
		if got.body != content {
			t.Errorf("%s: %d bytes came back, not the same as the %d saved", name, len(got.body), len(content))
		}
		head := want(t, "asking about "+name, ada.file("HEAD", path, ""), 200)
		if head.header.Get("Content-Length") != fmt.Sprint(len(content)) || head.header.Get("ETag") != got.header.Get("ETag") {
			t.Errorf("%s: HEAD says %v", name, head.header)
		}
	}
}

func TestAStaleSaveIsAConflictWithWhatIsThere(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	first := want(t, "a new file", ada.file("PUT", "x.py", "one", "If-None-Match", "*"), 201).header.Get("ETag")
	want(t, "there is one already", ada.file("PUT", "x.py", "two", "If-None-Match", "*"), 409)
	second := want(t, "its version", ada.file("PUT", "x.py", "two", "If-Match", first), 200).header.Get("ETag")
	if second == first {
		t.Fatal("the version did not rise")
	}
	p := want(t, "the version before", ada.file("PUT", "x.py", "three", "If-Match", first), 409).problem(t)
	if p.Current == nil || p.Current.Path != "x.py" || etagOf(p.Current.Version) != second {
		t.Errorf("want the current item with version %s, got %+v", second, p.Current)
	}
	if got := ada.file("GET", "x.py", ""); got.body != "two" {
		t.Errorf("the stale save was stored: %q", got.body)
	}
	gone := want(t, "a version of what is not there", ada.file("PUT", "gone.py", "x", "If-Match", `"3"`), 409).problem(t)
	if gone.Current != nil {
		t.Errorf("nothing is there, got %+v", gone.Current)
	}
	want(t, "overwriting whatever is there", ada.file("PUT", "x.py", "four", "If-Match", "*"), 200)
	want(t, "and making it where nothing is", ada.file("PUT", "y.py", "five", "If-Match", "*"), 201)
	want(t, "removing an old version", ada.file("DELETE", "x.py", "", "If-Match", first), 409)
	want(t, "removing", ada.file("DELETE", "x.py", ""), 204)
	want(t, "it is gone", ada.file("GET", "x.py", ""), 404)
}

func TestASaveSaysWhatItReplaces(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	p := want(t, "without a condition", ada.file("PUT", "x", "x"), 428).problem(t)
	if !strings.Contains(p.Detail, "If-Match") || !strings.Contains(p.Detail, "If-None-Match") {
		t.Errorf("want it said what to send, got %q", p.Detail)
	}
	for _, headers := range [][]string{{"If-Match", "3"}, {"If-Match", `"x"`}, {"If-Match", `"0"`}, {"If-Match", `"-1"`}, {"If-Match", `W/"3"`}, {"If-Match", `"1", "2"`},
		{"If-Match", `"1"`, "If-Match", `"2"`}, {"If-None-Match", `"1"`}, {"If-Match", "*", "If-None-Match", "*"}} {
		want(t, fmt.Sprint(headers), ada.file("PUT", "x", "x", headers...), 422).problem(t)
	}
	for _, query := range []string{"?executable=yes", "?executable=0&executable=1", "?token=x"} {
		want(t, query, ada.file("PUT", "x"+query, "x", "If-None-Match", "*"), 422).problem(t)
	}
	made := want(t, "executable", ada.file("PUT", "x?executable=1", "x", "If-None-Match", "*"), 201)
	kept := want(t, "as it was", ada.file("PUT", "x", "y", "If-Match", made.header.Get("ETag")), 200)
	if got := ada.file("GET", "x", "").header.Get("X-Vivarium-Executable"); got != "1" {
		t.Errorf("want the mode kept, got %s", got)
	}
	want(t, "not any more", ada.file("PUT", "x?executable=0", "y", "If-Match", kept.header.Get("ETag")), 200)
	if got := ada.file("GET", "x", "").header.Get("X-Vivarium-Executable"); got != "0" {
		t.Errorf("want the mode changed, got %s", got)
	}
}

func TestAFileThatWasNotChangedIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	tag := want(t, "a file", ada.file("PUT", "x", "x", "If-None-Match", "*"), 201).header.Get("ETag")
	for match, status := range map[string]int{tag: 304, "W/" + tag: 304, "*": 304, `"999", ` + tag: 304, `"999"`: 200, "": 200} {
		got := want(t, "If-None-Match: "+match, ada.file("GET", "x", "", "If-None-Match", match), status)
		if status == 304 && (got.body != "" || got.header.Get("ETag") != tag) {
			t.Errorf("a 304 with %q and ETag %q", got.body, got.header.Get("ETag"))
		}
	}
	want(t, "a folder has no content", ada.json("POST", "/workspaces/"+ada.workspace+"/folders", `{"path":"dir"}`), 201)
	want(t, "a folder has no content", ada.file("GET", "dir", ""), 422)
}

func TestF6_FilesAreOfBoundedSize(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	limit := int(w.api.cfg.Limits.FileBytes)
	want(t, "one less", ada.file("PUT", "less", strings.Repeat("x", limit-1), "If-None-Match", "*"), 201)
	want(t, "exactly", ada.file("PUT", "exact", strings.Repeat("x", limit), "If-None-Match", "*"), 201)
	p := want(t, "one more", ada.file("PUT", "more", strings.Repeat("x", limit+1), "If-None-Match", "*"), 413).problem(t)
	if !strings.Contains(p.Detail, fmt.Sprint(limit)) {
		t.Errorf("want the limit named, got %q", p.Detail)
	}
	request, err := http.NewRequest("PUT", w.url+prefix+"/workspaces/"+ada.workspace+"/files/endless", &endless{left: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Cookie", ada.cookie)
	request.Header.Set("If-None-Match", "*")
	response, err := direct.Do(request)
	if err == nil { // the connection may be cut while it is still sent
		response.Body.Close()
		if response.StatusCode != 413 {
			t.Errorf("a gigabyte without a length: want 413, got %d", response.StatusCode)
		}
	}
	for _, path := range []string{"more", "endless"} {
		want(t, "nothing was stored", ada.file("GET", path, ""), 404)
	}
}

// endless is a body whose length nobody knows.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	n := min(len(p), e.left)
	if n == 0 {
		return 0, fmt.Errorf("all of it was read")
	}
	e.left -= n
	return n, nil
}

func TestB3_StoredFilesAreNeverActiveContent(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for name, disposition := range map[string]string{
		"x.html": `attachment; filename="x.html"`, "x.svg": `attachment; filename="x.svg"`, "x.js": `attachment; filename="x.js"`, "none": `attachment; filename="none"`,
		"with space": `attachment; filename="with space"`,
		`q"uo;te`:    `attachment; filename="q_uo_te"; filename*=UTF-8''q%22uo%3Bte`,
		"é.py":       `attachment; filename="_.py"; filename*=UTF-8''%C3%A9.py`,
		"100%":       `attachment; filename="100_"; filename*=UTF-8''100%25`,
	} {
		want(t, "saving "+name, ada.file("PUT", escape(name), "<script>parent.__pwn=1</script>", "If-None-Match", "*"), 201)
		got := want(t, "reading "+name, ada.file("GET", escape(name), ""), 200)
		for header, want := range map[string]string{"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin", "Content-Disposition": disposition} {
			have := got.header.Get(header)
			if header == "Content-Disposition" {
				have = strings.ReplaceAll(have, "filename="+name, `filename="`+name+`"`)
			}
			if have != want {
				t.Errorf("%s: want %s: %s, got %s", name, header, want, have)
			}
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "sandbox; default-src 'none'") {
			t.Errorf("%s: the policy is %q", name, policy)
		}
	}
	want(t, "bytes", ada.file("PUT", "bytes", "\xff\x00", "If-None-Match", "*"), 201)
	if got := ada.file("GET", "bytes", "").header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("want octet-stream for what is no text, got %s", got)
	}
}
