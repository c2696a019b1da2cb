package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// static serves the exported web client from files that do not change while the server runs.
type static struct {
	files  fs.FS
	assets map[string]*asset // by path, with a leading slash
}

// asset is one file, with the encodings that the build has made of it.
type asset struct {
	path      string
	kind      string // content type
	policy    string
	immutable bool // its name has a hash of its content
	variants  []variant
}

// variant is one encoding of an asset, the preferred ones first.
type variant struct {
	encoding string // empty: as it is
	file     string
	etag     string
}

var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

// contentTypes are set here, because Go's own table depends on the machine's.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".css": "text/css; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".json": "application/json", ".map": "application/json",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".woff": "font/woff", ".ttf": "font/ttf", ".wasm": "application/wasm",
	".webmanifest": "application/manifest+json", ".xml": "application/xml",
}

// newStatic reads every file once, for its ETag and, in pages, the hashes of its inline scripts.
func newStatic(files fs.FS, public *url.URL) (*static, error) {
	s := &static{files: files, assets: map[string]*asset{}}
	if files == nil {
		return s, nil
	}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") || compressed(files, name) {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		one := &asset{path: "/" + name, kind: contentTypes[path.Ext(name)], policy: apiPolicy,
			immutable: strings.HasPrefix(name, "_next/static/")}
		switch path.Ext(name) {
		case ".html":
			one.policy = pagePolicy(content, public)
		case ".js", ".mjs":
			one.policy = scriptPolicy
		case "":
			one.kind = "application/octet-stream"
		}
		if one.kind == "" {
			one.kind = "application/octet-stream"
		}
		for _, e := range encodings {
			packed, err := fs.ReadFile(files, name+e.suffix)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			one.variants = append(one.variants, variant{e.name, name + e.suffix, contentTag(packed)})
		}
		one.variants = append(one.variants, variant{"", name, contentTag(content)})
		s.assets[one.path] = one
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the web client's files: %w", err)
	}
	return s, nil
}

// compressed reports whether a file is only an encoding of another.
func compressed(files fs.FS, name string) bool {
	for _, e := range encodings {
		if plain, ok := strings.CutSuffix(name, e.suffix); ok {
			if _, err := fs.Stat(files, plain); err == nil {
				return true
			}
		}
	}
	return false
}

func contentTag(content []byte) string {
	sum := sha256.Sum256(content)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// uuidPage matches the pages that are one exported file for all ids.
var uuidPage = regexp.MustCompile(`^/(w)/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.txt|/__next\..+\.txt)?$`)

func (s *static) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		s.plain(w, http.StatusMethodNotAllowed, "This method is not used here.\n")
		return
	}
	p := r.URL.Path
	if !clean(p) || strings.Contains(p, "\\") {
		s.plain(w, http.StatusNotFound, "Not found.\n")
		return
	}
	if len(s.assets) == 0 || s.assets["/index.html"] == nil {
		s.notBuilt(w)
		return
	}
	if p != "/" && strings.HasSuffix(p, "/") {
		if p = strings.TrimSuffix(p, "/"); s.find(p) != nil {
			redirect(w, http.StatusPermanentRedirect, p, r.URL.RawQuery)
			return
		}
	}
	// After an upgrade of the server, the client's router shows the user a raw payload: send the page instead.
	if page, ok := strings.CutSuffix(p, ".txt"); ok && r.Header.Get("Sec-Fetch-Dest") == "document" && r.Header.Get("RSC") == "" {
		query := r.URL.Query()
		query.Del("_rsc")
		if page == "/index" {
			page = "/"
		}
		redirect(w, http.StatusFound, page, query.Encode())
		return
	}
	one := s.find(p)
	switch {
	case one != nil:
		s.serve(w, r, one, http.StatusOK)
	case strings.HasPrefix(p, "/_next/") || strings.HasSuffix(p, ".txt") || s.assets["/404.html"] == nil:
		s.plain(w, http.StatusNotFound, "Not found.\n")
	default:
		s.serve(w, r, s.assets["/404.html"], http.StatusNotFound)
	}
}

// find returns the file for a path: itself, the page of that name, or the page that stands for all ids.
func (s *static) find(p string) *asset {
	if m := uuidPage.FindStringSubmatch(p); m != nil {
		if m[2] == "" {
			return s.assets["/"+m[1]+".html"]
		}
		return s.assets["/"+m[1]+m[2]]
	}
	if p == "/" {
		return s.assets["/index.html"]
	}
	for _, name := range []string{p, p + ".html", p + "/index.html"} {
		if one := s.assets[name]; one != nil {
			return one
		}
	}
	return nil
}

// redirect sends a browser to a path of this server. The path is clean, so it cannot begin with two slashes, which would
// name another host.
func redirect(w http.ResponseWriter, status int, to, query string) {
	target := (&url.URL{Path: to, RawQuery: query}).String()
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		target = "/"
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", target)
	w.WriteHeader(status)
}

func (s *static) serve(w http.ResponseWriter, r *http.Request, one *asset, status int) {
	use := one.variants[len(one.variants)-1]
	for _, v := range one.variants {
		if v.encoding == "" || accepts(r.Header.Values("Accept-Encoding"), v.encoding) {
			use = v
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Content-Security-Policy", one.policy)
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", use.etag)
	switch {
	case status != http.StatusOK:
		h.Set("Cache-Control", "no-store")
		h.Del("ETag")
	case one.immutable:
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	default:
		h.Set("Cache-Control", "no-cache")
	}
	if use.encoding != "" {
		h.Set("Content-Encoding", use.encoding)
	}
	file, err := s.files.Open(use.file)
	if err != nil {
		panic(err) // it was there when the server started, and is part of the program
	}
	defer file.Close()
	content, ok := file.(io.ReadSeeker)
	if status == http.StatusOK && ok {
		http.ServeContent(w, r, "", time.Time{}, content)
		return
	}
	if info, err := file.Stat(); err == nil {
		h.Set("Content-Length", strconv.FormatInt(info.Size(), 10))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, file) // the client may be gone; there is nobody to tell
	}
}

// accepts reports whether Accept-Encoding names the encoding without forbidding it.
func accepts(headers []string, encoding string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
			if !strings.EqualFold(strings.TrimSpace(name), encoding) {
				continue
			}
			quality, given := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			if !given {
				return true
			}
			q, err := strconv.ParseFloat(quality, 64)
			return err == nil && q > 0
		}
	}
	return false
}

func (s *static) plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// notBuilt is shown by a server that was built without the web client.
func (s *static) notBuilt(w http.ResponseWriter) {
	s.plain(w, http.StatusOK, "Vivarium is running, but this build has no web client.\n\n"+
		"Build it with scripts/build.sh and start the server again.\nThe API is described at /api and in /openapi.json.\n")
}
