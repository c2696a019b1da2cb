package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/semaphore"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

const filesTag = "Files"

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// uploads bounds the memory that bodies of files take while they arrive. Small ones, which editors save all the time, are
// not held up by large ones.
type uploads struct{ large *semaphore.Weighted }

const (
	smallUpload  = 1 << 20
	largeUploads = 64 << 20
	uploadWait   = 10 * time.Second
)

func newUploads() *uploads { return &uploads{large: semaphore.NewWeighted(largeUploads)} }

// read reads a body of at most limit bytes; TooLarge beyond it. done must be called when the content is not needed any more.
func (u *uploads) read(w http.ResponseWriter, r *http.Request, limit int64) (content []byte, done func(), err error) {
	tooLarge := fault.New(fault.TooLarge, "The file is too large: at most %d bytes are allowed.", limit)
	if r.ContentLength > limit {
		return nil, nil, tooLarge
	}
	setReadDeadline(w, transferTime)
	body := http.MaxBytesReader(w, r.Body, limit)
	var buf bytes.Buffer
	first := int64(smallUpload)
	if r.ContentLength >= 0 {
		first = min(first, r.ContentLength)
	}
	buf.Grow(int(first) + bytes.MinRead)
	_, err = io.CopyN(&buf, body, smallUpload)
	done = func() {}
	if err == nil { // there may be more
		weight := min(limit, largeUploads)
		if r.ContentLength >= 0 {
			weight = min(weight, r.ContentLength)
		}
		ctx, cancel := context.WithTimeout(r.Context(), uploadWait)
		busy := u.large.Acquire(ctx, weight)
		cancel()
		if busy != nil {
			return nil, nil, fault.New(fault.Exhausted, "Too many large files are being saved at once. Try again in a moment.").After(2 * time.Second)
		}
		done = func() { u.large.Release(weight) }
		_, err = io.Copy(&buf, body)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err != nil {
		done()
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, nil, tooLarge
		}
		return nil, nil, fault.Wrap(err, fault.Timeout, "The file's content did not arrive whole.")
	}
	return buf.Bytes(), done, nil
}

// writeOptions reads what a save expects to replace, from If-Match and If-None-Match, and ?executable.
func writeOptions(r *http.Request) (workspace.WriteOptions, error) {
	var o workspace.WriteOptions
	match, none := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	switch {
	case len(match) > 0 && len(none) > 0:
		return o, fault.New(fault.Invalid, "Send either If-Match or If-None-Match.").On("header.If-Match")
	case len(match) > 0:
		var err error
		if o.IfVersion, err = ifMatch(r.Header); err != nil {
			return o, err
		}
	case len(none) == 1 && none[0] == "*":
		o.IfVersion = 0
	case len(none) > 0:
		return o, fault.New(fault.Invalid, "Only * is allowed here: nothing may be there yet.").On("header.If-None-Match")
	default:
		return o, &Problem{Type: "about:blank", Title: http.StatusText(http.StatusPreconditionRequired), Status: http.StatusPreconditionRequired,
			Detail: `Say what you replace: If-Match with the version in quotes, as in "12", or If-None-Match: * for a new file. If-Match: * overwrites whatever is there.`}
	}
	switch values := r.URL.Query()["executable"]; {
	case len(values) == 0:
	case values[0] == "0" || values[0] == "1":
		executable := values[0] == "1"
		o.Executable = &executable
	default:
		return o, fault.New(fault.Invalid, "Must be 0 or 1.").On("query.executable")
	}
	return o, nil
}

// ifMatch reads the one version that If-Match names.
func ifMatch(h http.Header) (int64, error) {
	values := h.Values("If-Match")
	if len(values) == 1 && values[0] == "*" {
		return workspace.AnyVersion, nil
	}
	if len(values) == 1 {
		if n, ok := versionIn(values[0]); ok {
			return n, nil
		}
	}
	return 0, fault.New(fault.Invalid, "Must be one version in quotes, as in \"12\", or *.").On("header.If-Match")
}

func versionIn(tag string) (int64, bool) {
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, false
	}
	n, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	return n, err == nil && n > 0
}

// noneMatch reports whether If-None-Match names the version, so that the content need not be sent.
func noneMatch(h http.Header, version int64) bool {
	for _, value := range h.Values("If-None-Match") {
		for tag := range strings.SplitSeq(value, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if n, ok := versionIn(tag); tag == "*" || ok && n == version {
				return true
			}
		}
	}
	return false
}

// rawHeaders make sure that a browser never treats what a user stored as a page of ours, whatever is in it.
func rawHeaders(h http.Header) {
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
}

// contentHeaders describe a file's content; content is nil when it is not sent.
func contentHeaders(h http.Header, item workspace.Item, content []byte) {
	rawHeaders(h)
	h.Set("ETag", etagOf(item.Version))
	h.Set("X-Vivarium-Executable", strconv.Itoa(boolInt(item.Executable)))
	h.Set("Last-Modified", item.ChangedAt.UTC().Format(http.TimeFormat))
	h.Set("Content-Disposition", disposition(path.Base(item.Path)))
	h.Set("Content-Type", "application/octet-stream")
	if content != nil && utf8.Valid(content) && bytes.IndexByte(content, 0) < 0 {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
}

// disposition is an attachment's file name by RFC 6266: an ASCII form for old clients and the exact one for all others.
func disposition(name string) string {
	ascii := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || strings.ContainsRune(`"\/%;`, r) {
			return '_'
		}
		return r
	}, name)
	value := mime.FormatMediaType("attachment", map[string]string{"filename": ascii})
	if ascii == name && value != "" {
		return value
	}
	return `attachment; filename="` + ascii + `"; filename*=UTF-8''` + percentEncode(name)
}

// percentEncode encodes all but the characters that RFC 8187 lets stand.
func percentEncode(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&+-.^_`|~"
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(plain, s[i]) >= 0 {
			b.WriteByte(s[i])
			continue
		}
		b.WriteByte('%')
		b.WriteString(strings.ToUpper(strconv.FormatUint(uint64(s[i])|0x100, 16)[1:]))
	}
	return b.String()
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
