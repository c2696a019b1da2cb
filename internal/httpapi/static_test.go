package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	someWorkspace = "01a20dfa-719f-720a-bb2e-49b261e44d63"
	inline        = `self.__next_f.push([1,"<script>"])`
)

func site() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		".keep": file(""), "index.html": file("<html><script>" + inline + "</script>home"), "404.html": file("lost"), "w.html": file("workspace"),
		"w.txt": file("flight of w"), "w/__next._tree.txt": file("tree of w"), "login.html": file("login"), "settings/index.html": file("settings"),
		"index.txt": file("flight of home"), "login.txt": file("flight of login"), "_next/static/chunks/a.js": file("chunk"), "_next/static/chunks/a.js.gz": file("chunk in gzip"),
		"_next/static/chunks/a.js.br": file("chunk in brotli"), "_next/static/media/f.ttf": file("font"), "index.html.gz": file("home in gzip"), "lone.gz": file("an archive"),
	}
}

func get(t *testing.T, files fstest.MapFS, method, target string, headers ...string) *http.Response {
	t.Helper()
	s, err := newStatic(files, &url.URL{Scheme: "https", Host: "example.test"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, "http://example.test/", nil)
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	if _, err := io.Copy(&b, r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTheWebClientsFilesAreFound(t *testing.T) {
	for _, c := range []struct {
		name, target string
		status       int
		body         string
	}{
		{"the home page", "/", 200, "<html><script>" + inline + "</script>home"}, {"a page by its name", "/login", 200, "login"},
		{"a page in a folder", "/settings", 200, "settings"}, {"a workspace's page", "/w/" + someWorkspace, 200, "workspace"},
		{"its payload in Next 15", "/w/" + someWorkspace + ".txt?_rsc=1", 200, "flight of w"}, {"its payload in Next 16", "/w/" + someWorkspace + "/__next._tree.txt", 200, "tree of w"},
		{"the home page's payload", "/index.txt", 200, "flight of home"}, {"what is no workspace", "/w/nonsense", 404, "lost"},
		{"a workspace's id in capitals", "/w/" + strings.ToUpper(someWorkspace), 404, "lost"}, {"something below a workspace", "/w/" + someWorkspace + "/x", 404, "lost"},
		{"an unknown page", "/nothing", 404, "lost"}, {"an unknown chunk", "/_next/static/chunks/gone.js", 404, "Not found.\n"},
		{"an unknown payload", "/gone.txt", 404, "Not found.\n"}, {"the placeholder", "/.keep", 404, "lost"}, {"an encoding by its name", "/_next/static/chunks/a.js.gz", 404, "Not found.\n"},
		{"a file that only looks like an encoding", "/lone.gz", 200, "an archive"}, {"a way out", "/../etc/passwd", 404, "Not found.\n"},
		{"a way out, encoded", "/%2e%2e/etc/passwd", 404, "Not found.\n"}, {"two slashes", "//evil.example", 404, "Not found.\n"}, {"a backslash", "/%5cevil.example", 404, "Not found.\n"},
	} {
		got := get(t, site(), "GET", c.target)
		if b := body(t, got); got.StatusCode != c.status || b != c.body {
			t.Errorf("%s: want %d %q, got %d %q", c.name, c.status, c.body, got.StatusCode, b)
		}
	}
	if got := get(t, site(), "POST", "/"); got.StatusCode != 405 {
		t.Errorf("POST: want 405, got %d", got.StatusCode)
	}
	if got := get(t, site(), "HEAD", "/login"); got.StatusCode != 200 || got.Header.Get("Content-Length") != "5" || body(t, got) != "" {
		t.Errorf("HEAD: got %d %v", got.StatusCode, got.Header)
	}
}

func TestTheWebClientsFilesHaveTheirHeaders(t *testing.T) {
	for _, c := range []struct{ target, kind, cache string }{
		{"/", "text/html; charset=utf-8", "no-cache"}, {"/w.txt", "text/plain; charset=utf-8", "no-cache"},
		{"/_next/static/chunks/a.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{"/_next/static/media/f.ttf", "font/ttf", "public, max-age=31536000, immutable"}, {"/nothing", "text/html; charset=utf-8", "no-store"},
		{"/_next/static/chunks/gone.js", "text/plain; charset=utf-8", "no-store"},
	} {
		got := get(t, site(), "GET", c.target)
		if k, cache := got.Header.Get("Content-Type"), got.Header.Get("Cache-Control"); k != c.kind || cache != c.cache {
			t.Errorf("%s: want %s and %s, got %s and %s", c.target, c.kind, c.cache, k, cache)
		}
		if found := got.StatusCode == 200; found != (got.Header.Get("ETag") != "") {
			t.Errorf("%s: %d with ETag %q", c.target, got.StatusCode, got.Header.Get("ETag"))
		}
	}
}

func TestThePreferredEncodingIsServed(t *testing.T) {
	tags := map[string]bool{}
	for accept, want := range map[string]struct{ encoding, body string }{
		"gzip, deflate, br": {"br", "chunk in brotli"}, "gzip": {"gzip", "chunk in gzip"}, "br;q=0, gzip;q=0.5": {"gzip", "chunk in gzip"}, "GZIP": {"gzip", "chunk in gzip"},
		"": {"", "chunk"}, "identity": {"", "chunk"}, "gzip;q=0": {"", "chunk"}, "brotli": {"", "chunk"}, "gzip;q=x": {"", "chunk"},
	} {
		got := get(t, site(), "GET", "/_next/static/chunks/a.js", "Accept-Encoding", accept)
		if e, b := got.Header.Get("Content-Encoding"), body(t, got); e != want.encoding || b != want.body || got.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: want %q, got %q %q, Vary %q", accept, want.encoding, e, b, got.Header.Get("Vary"))
		}
		tags[got.Header.Get("Content-Encoding")+got.Header.Get("ETag")] = true
		again := get(t, site(), "GET", "/_next/static/chunks/a.js", "Accept-Encoding", accept, "If-None-Match", got.Header.Get("ETag"))
		if again.StatusCode != 304 || again.Header.Get("Content-Security-Policy") != scriptPolicy {
			t.Errorf("%q: want 304 with the policy, got %d %v", accept, again.StatusCode, again.Header)
		}
	}
	if len(tags) != 3 {
		t.Errorf("want an ETag for each encoding, got %v", tags)
	}
}

func TestRedirectsStayOnThisServer(t *testing.T) {
	for _, c := range []struct {
		name, target string
		headers      []string
		status       int
		location     string
	}{
		{"a payload that a person would see", "/login.txt?_rsc=abc&next=1", []string{"Sec-Fetch-Dest", "document"}, 302, "/login?next=1"},
		{"of the home page", "/index.txt", []string{"Sec-Fetch-Dest", "document"}, 302, "/"},
		{"of a workspace", "/w/" + someWorkspace + ".txt", []string{"Sec-Fetch-Dest", "document"}, 302, "/w/" + someWorkspace},
		{"asked for by the router", "/login.txt", []string{"Sec-Fetch-Dest", "document", "RSC", "1"}, 200, ""},
		{"asked for by fetch", "/login.txt", []string{"Sec-Fetch-Dest", "empty"}, 200, ""},
		{"a slash too many", "/login/?a=b", nil, 308, "/login?a=b"},
		{"a slash too many on what is not there", "/nothing/", nil, 404, ""},
		{"another host in the path", "//evil.example/x.txt", []string{"Sec-Fetch-Dest", "document"}, 404, ""},
		{"another host behind a backslash", "/%5cevil.example/x.txt", []string{"Sec-Fetch-Dest", "document"}, 404, ""},
	} {
		got := get(t, site(), "GET", c.target, c.headers...)
		if got.StatusCode != c.status || got.Header.Get("Location") != c.location {
			t.Errorf("%s: want %d %s, got %d %s", c.name, c.status, c.location, got.StatusCode, got.Header.Get("Location"))
		}
	}
}

func TestAServerWithoutTheWebClientSaysHowToBuildIt(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{"only the placeholder": {".keep": {}}, "nothing": nil, "half of it": {"x.js": {Data: []byte("x")}}} {
		got := get(t, files, "GET", "/workspaces")
		if b := body(t, got); got.StatusCode != 200 || !strings.Contains(b, "scripts/build.sh") {
			t.Errorf("%s: got %d %q", name, got.StatusCode, b)
		}
	}
}

func TestThePolicyOfAPageHasTheHashesOfItsInlineScripts(t *testing.T) {
	policy := get(t, site(), "GET", "/").Header.Get("Content-Security-Policy")
	for _, directive := range []string{"script-src 'self' '" + scriptHash([]byte(inline)) + "'", "connect-src 'self' wss://example.test",
		"style-src 'self' 'unsafe-inline'", "require-trusted-types-for 'script'", "worker-src 'self'"} {
		if !strings.Contains(policy, directive) {
			t.Errorf("want %q in %q", directive, policy)
		}
	}
	if policy := get(t, site(), "GET", "/login").Header.Get("Content-Security-Policy"); strings.Contains(policy, "sha256") {
		t.Errorf("a page without scripts has hashes: %q", policy)
	}
	if policy := get(t, site(), "GET", "/nothing").Header.Get("Content-Security-Policy"); !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("the page for what is not there has no policy of a page: %q", policy)
	}
}

func TestInlineScriptsAreFoundAsABrowserFindsThem(t *testing.T) {
	// The known sum of "alert('Hello, world.');" is the example of the CSP specification.
	if got := scriptHash([]byte("alert('Hello, world.');")); got != "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=" {
		t.Errorf("got %s", got)
	}
	for html, want := range map[string][]string{
		`<script>a</script>`: {"a"}, `<SCRIPT>a</Script>`: {"a"}, `<script async="">a</script><script>b</script>`: {"a", "b"}, `<script>a</script><script>a</script>`: {"a"},
		`<script src="/x.js"></script>`: nil, `<script src=/x.js></script><script>a</script>`: {"a"}, `<script data-src="x">a</script>`: {"a"},
		`<script id="src">a</script>`: {"a"}, `<script data-x=">">a</script>`: {"a"}, `<script data-x=" src=y ">a</script>`: {"a"}, `<script SRC = "x">a</script>`: nil,
		"<script\n>a\n</script >": {"a\n"}, `<scripty>a</scripty>`: nil, `<script>a`: nil, `<script`: nil, `text`: nil, `<script></script>`: {""}, `<script>"<!-- <b>"</script>`: {`"<!-- <b>"`},
	} {
		var hashes []string
		for _, script := range want {
			hashes = append(hashes, scriptHash([]byte(script)))
		}
		if got := inlineScripts([]byte(html)); strings.Join(got, " ") != strings.Join(hashes, " ") {
			t.Errorf("%s: want the scripts %q, got other hashes: %v", html, want, got)
		}
	}
}

func TestTheReferencePageNeedsNothingButItself(t *testing.T) {
	w := newWorld(t)
	got := want(t, "/api", w.do("GET", "/api", ""), 200)
	_, rest, _ := strings.Cut(got.body, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "style-src '"+scriptHash([]byte(style))+"'") || strings.Contains(policy, "script-src") {
		t.Errorf("the policy is %q", policy)
	}
	for _, text := range []string{"/api/v1/workspaces/{id}/files/{path}", `id="schema-Problem"`, "WebSocket", `id="login"`} {
		if !strings.Contains(got.body, text) {
			t.Errorf("want %q on the page", text)
		}
	}
	for _, text := range []string{"<script", "http://", "https://", "style=", "onclick"} {
		if strings.Contains(got.body, text) {
			t.Errorf("the page has %q", text)
		}
	}
	if doc := want(t, "document", w.do("GET", "/openapi.json", ""), 200); !strings.Contains(doc.body, `"openapi": "3.1.0"`) {
		t.Errorf("got %.100s", doc.body)
	}
}
