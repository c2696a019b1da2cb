package httpapi

import (
	"context"
	"mime"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

// How long a handler may take. A dependency that hangs must not hold on to requests.
const (
	quick   = 5 * time.Second  // the database alone
	steady  = 30 * time.Second // a sandbox that runs, or hashing a password in a queue
	patient = 90 * time.Second // a sandbox that has to be started or ended first
)

const (
	maxJSONBody = 64 << 10
	readBody    = 10 * time.Second // for a JSON body to arrive
)

// route describes one operation.
type route struct {
	method, path  string
	id            string // operation id: the name of the client's function
	tag, summary  string
	status        int // of success; 0 for 200, or 204 where there is no body
	public        bool
	timeout       time.Duration // 0 for quick
	errors        []int         // beside those that every operation may give
	deniedAction  string        // the action of the audit event when it is refused
	auditFailures bool          // also a 401 is worth an event: somebody tried a password
}

func (rt route) bound() time.Duration {
	if rt.timeout == 0 {
		return quick
	}
	return rt.timeout
}

// describe returns the operation as huma and the document want it.
func (rt route) describe() huma.Operation {
	op := huma.Operation{
		OperationID: rt.id, Method: rt.method, Path: rt.path, Summary: rt.summary, Tags: []string{rt.tag}, DefaultStatus: rt.status,
		MaxBodyBytes: maxJSONBody, BodyReadTimeout: readBody,
		Errors: append([]int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable}, rt.errors...),
	}
	if !rt.public {
		op.Security = []map[string][]string{{"login": {}}}
		op.Errors = append(op.Errors, http.StatusUnauthorized)
	}
	return op
}

// register puts a JSON operation on the mux and in the document.
func register[I, O any](a *API, rt route, handler func(context.Context, *I) (*O, error)) {
	op := rt.describe()
	op.Middlewares = huma.Middlewares{func(hctx huma.Context, next func(huma.Context)) {
		_, w := humago.Unwrap(hctx)
		requestOf(hctx.Context()).Route = prefix + rt.path
		if hctx.Operation().RequestBody != nil && !isJSON(hctx.Header("Content-Type")) {
			writeProblem(w, newProblem(hctx.Context(), http.StatusUnsupportedMediaType, "The body must be application/json."))
			return
		}
		ctx, cancel := context.WithTimeout(hctx.Context(), rt.bound())
		defer cancel()
		if !rt.public {
			p, err := a.authenticate(ctx, hctx.EachHeader)
			if err != nil {
				writeProblem(w, a.problem(ctx, err))
				return
			}
			ctx = withPrincipal(ctx, p)
		}
		next(huma.WithContext(hctx, ctx))
	}}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			a.noteDenial(ctx, rt, err)
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// rawHandler answers a request whose login is p.
type rawHandler func(w http.ResponseWriter, r *http.Request, p auth.Principal) error

// registerRaw puts an operation on the mux that reads or writes something else than JSON, and op in the document.
// pattern is its path as the mux wants it.
func (a *API) registerRaw(rt route, pattern string, op huma.Operation, handler rawHandler) {
	a.huma.OpenAPI().AddOperation(&op)
	a.mux.HandleFunc(rt.method+" "+prefix+pattern, func(w http.ResponseWriter, r *http.Request) {
		requestOf(r.Context()).Route = prefix + rt.path
		ctx := r.Context()
		if rt.timeout >= 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, rt.bound())
			defer cancel()
		}
		authCtx, cancel := context.WithTimeout(ctx, quick)
		p, err := a.authenticate(authCtx, eachHeader(r.Header))
		cancel()
		if err == nil {
			err = handler(w, r.WithContext(ctx), p)
		}
		if err != nil && err != errAnswered {
			a.noteDenial(withPrincipal(ctx, p), rt, err)
			writeProblem(w, a.problem(ctx, err))
		}
	})
}

// unbounded is the timeout of a route that bounds its own parts.
const unbounded time.Duration = -1

// problem words an error, and logs what is not shown of it.
func (a *API) problem(ctx context.Context, err error) *Problem {
	p := problemOf(ctx, err)
	if p.Status >= 500 && ctx.Err() != context.Canceled {
		level := a.log.ErrorContext
		if fault.KindOf(err) != fault.Internal {
			level = a.log.WarnContext
		}
		level(ctx, "request failed", "request", p.RequestID, "status", p.Status, "err", err)
	}
	return p
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "application/json"
}

func eachHeader(h http.Header) func(func(name, value string)) {
	return func(yield func(name, value string)) {
		for name, values := range h {
			for _, value := range values {
				yield(name, value)
			}
		}
	}
}

type principalKey struct{}

func withPrincipal(ctx context.Context, p auth.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principalOf returns who the request acts as: nobody in public operations.
func principalOf(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}
