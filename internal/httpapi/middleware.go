package httpapi

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
)

// request is what is known about a request from its beginning. Handlers fill in Route.
type request struct {
	ID        string
	Address   string // of the client, without a port
	UserAgent string
	Route     string // the pattern that matched, for logs and metrics: never a path, which has names that users chose
	header    http.Header
}

// token returns the login that the request brought, also where the operation does not ask for one.
func (r *request) token(a *API) (auth.Token, bool) { return a.tokenIn(eachHeader(r.header)) }

type requestKey struct{}

// requestOf returns the request that ctx belongs to. It is never nil.
func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// ServeHTTP answers every request: it names it, checks where it comes from, and logs how it ended.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	one := &request{ID: rand.Text(), Address: a.clientAddress(r), UserAgent: r.UserAgent(), header: r.Header}
	ctx := context.WithValue(r.Context(), requestKey{}, one)
	ctx = audit.WithOrigin(ctx, audit.Origin{RequestID: one.ID, Address: one.Address})
	rec := &recorder{ResponseWriter: w}
	commonHeaders(rec.Header(), a.secure())
	rec.Header().Set("X-Request-Id", one.ID)
	r = r.WithContext(ctx)
	defer func() {
		if v := recover(); v != nil && v != http.ErrAbortHandler {
			a.log.ErrorContext(ctx, "panic in a handler", "request", one.ID, "panic", v, "stack", string(debug.Stack()))
			if rec.status == 0 {
				writeProblem(rec, newProblem(ctx, http.StatusInternalServerError, internalDetail))
			} else {
				defer panic(http.ErrAbortHandler) // the answer is cut: the client must not take it for whole
			}
		} else if v != nil {
			defer panic(v)
		}
		a.finish(ctx, r, rec, begun)
	}()
	if r.Body != nil && r.Body != http.NoBody {
		setReadDeadline(rec, readBody)
		r.Body = &timedBody{ReadCloser: r.Body, w: rec}
	}
	if a.guard(rec, r) {
		a.mux.ServeHTTP(rec, r)
	}
}

// finish logs and counts a request.
func (a *API) finish(ctx context.Context, r *http.Request, rec *recorder, begun time.Time) {
	one, took := requestOf(ctx), time.Since(begun)
	if rec.status == 0 {
		rec.status = http.StatusOK
	}
	level := slog.LevelInfo
	if one.Route == "" {
		one.Route = "static"
		level = slog.LevelDebug
	}
	if strings.HasSuffix(one.Route, "z") { // probes
		level = slog.LevelDebug
	}
	if !rec.hijacked {
		a.metrics.request(one.Route, r.Method, rec.status, took)
	}
	a.log.LogAttrs(ctx, level, "request", slog.String("request", one.ID), slog.String("method", printableMethod(r.Method)),
		slog.String("route", one.Route), slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes),
		slog.Duration("took", took.Round(10*time.Microsecond)), slog.String("address", one.Address))
}

// printableMethod keeps made-up methods out of the log and the metrics.
func printableMethod(m string) string {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT":
		return m
	}
	return "other"
}

// guard answers what must not reach a route, and reports whether the request may go on.
func (a *API) guard(w http.ResponseWriter, r *http.Request) bool {
	ctx := r.Context()
	refuse := func(status int, detail string, errs ...ProblemError) bool {
		requestOf(ctx).Route = "refused"
		writeProblem(w, newProblem(ctx, status, detail, errs...))
		return false
	}
	probe := r.URL.Path == "/healthz" || r.URL.Path == "/readyz"
	switch {
	case r.Method == http.MethodTrace || r.Method == http.MethodConnect:
		return refuse(http.StatusMethodNotAllowed, "This method is not used here.")
	case r.URL.Host != "" || r.URL.Scheme != "" || !strings.HasPrefix(r.URL.Path, "/"):
		return refuse(http.StatusMisdirectedRequest, "This server is no proxy: ask for a path.")
	case !a.hosts[r.Host] && isUpgrade(r.Header):
		a.auditDenial(ctx, auth.Principal{}, "http.host", r.Method+" "+place(r.URL.Path))
		return refuse(http.StatusForbidden, "WebSockets may only be opened by this server's own pages.")
	case !a.hosts[r.Host] && !probe: // orchestrators probe by address
		return refuse(http.StatusMisdirectedRequest, "This server is reached at "+a.cfg.PublicURL.String()+
			". Its operator can change that with --public-url.")
	}
	if why := a.crossOrigin(r); why != "" {
		a.auditDenial(ctx, auth.Principal{}, "http.origin", r.Method+" "+place(r.URL.Path))
		return refuse(http.StatusForbidden, why)
	}
	if r.URL.Path == "/api" || strings.HasPrefix(r.URL.Path, "/api/") {
		w.Header().Set("Cache-Control", "no-store")
		return a.guardPath(refuse, r.URL.EscapedPath())
	}
	if !clean(r.URL.EscapedPath()) {
		a.static.plain(w, http.StatusNotFound, "Not found.\n")
		return false
	}
	return true
}

// place is a path for the audit log, without the names that users gave their files.
func place(p string) string {
	if at := strings.Index(p, "/files/"); at >= 0 {
		p = p[:at+len("/files/")] + "…"
	}
	return shorten(p)
}

// clean reports whether the mux takes the path as it is. It redirects others, which may look like another host's.
func clean(escaped string) bool {
	return escaped == path.Clean(escaped) || escaped == path.Clean(escaped)+"/"
}

// guardPath refuses paths that the mux would clean and redirect: a path of a file is what it is, and every other path of the
// API has one form only.
func (a *API) guardPath(refuse func(int, string, ...ProblemError) bool, escaped string) bool {
	if clean(escaped) {
		return true
	}
	if parts := strings.SplitN(escaped, "/", 7); len(parts) == 7 && strings.HasPrefix(escaped, prefix+"/workspaces/") && parts[5] == "files" {
		const why = `A path must not have empty names, "." or "..".`
		return refuse(http.StatusUnprocessableEntity, why, ProblemError{Location: "path", Message: why})
	}
	return refuse(http.StatusNotFound, "There is nothing here.")
}

// crossOrigin says why a request that may change something is refused because of the page that it comes from, and is empty
// otherwise. Browsers send Origin with every such request, and the newer ones Sec-Fetch-Site too; what sends neither is no
// browser and cannot be made to act by a page.
func (a *API) crossOrigin(r *http.Request) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions {
		return ""
	}
	switch site := r.Header.Values("Sec-Fetch-Site"); {
	case len(site) == 0:
	case len(site) == 1 && (site[0] == "same-origin" || site[0] == "none"):
	default:
		return "Requests from other sites are not allowed."
	}
	if origin, given := r.Header["Origin"]; given && (len(origin) != 1 || !a.origins[origin[0]]) {
		return "Requests from other origins are not allowed."
	}
	return ""
}

// commonHeaders go with every answer; handlers replace what they need otherwise.
func commonHeaders(h http.Header, secure bool) {
	h.Set("Content-Security-Policy", apiPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", permissions)
	if secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

const permissions = "accelerometer=(), autoplay=(), camera=(), display-capture=(), encrypted-media=(), geolocation=(), gyroscope=(), " +
	"magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=(), xr-spatial-tracking=()"

// clientAddress returns who sent the request: the connection's peer, or, when that is a proxy that we trust, the last address
// in X-Forwarded-For that no trusted proxy added.
func (a *API) clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	var hops []string
	for _, value := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(value, ",")...)
	}
	for i := len(hops) - 1; i >= 0 && a.trusted(address); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		address = hop
	}
	return address.Unmap().WithZone("").String()
}

func (a *API) trusted(address netip.Addr) bool {
	for _, proxies := range a.cfg.TrustedProxies {
		if proxies.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

// noRoute answers what no operation matches: 405 where another method would, else 404, never a page.
func (a *API) noRoute(w http.ResponseWriter, r *http.Request) {
	requestOf(r.Context()).Route = "unknown"
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		other := r.WithContext(r.Context())
		other.Method = method
		if _, pattern := a.mux.Handler(other); pattern != "/api/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		writeProblem(w, newProblem(r.Context(), http.StatusMethodNotAllowed, "This method is not used here: "+strings.Join(allowed, ", ")+"."))
		return
	}
	writeProblem(w, newProblem(r.Context(), http.StatusNotFound, "There is nothing here."))
}

// timedBody lifts the read deadline once the body has been read: net/http goes on reading to notice that the client has gone,
// and would take the deadline for that while a handler is still at work.
type timedBody struct {
	io.ReadCloser
	w http.ResponseWriter
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		setReadDeadline(b.w, 0)
	}
	return n, err
}

// setReadDeadline bounds the reading of the body; 0 lifts the bound. A connection without deadlines (in tests) is left alone.
func setReadDeadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetReadDeadline(deadline(d))
}

func setWriteDeadline(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(deadline(d))
}

func deadline(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
