package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// Problem is the body of every error answer: RFC 9457, application/problem+json.
type Problem struct {
	Type      string         `json:"type" doc:"Always about:blank: the status says what kind of problem it is."`
	Title     string         `json:"title" doc:"The status in words."`
	Status    int            `json:"status"`
	Detail    string         `json:"detail" doc:"One sentence for the person who caused it."`
	Errors    []ProblemError `json:"errors,omitempty" nullable:"false" doc:"Which inputs are wrong."`
	RequestID string         `json:"requestId" doc:"Finds the request in the server's log."`
	Current   *Item          `json:"current,omitempty" doc:"After a stale save (409): what is there now; absent when nothing is."`

	retryAfter time.Duration
}

// ProblemError is one input that is wrong. It never repeats the input's value.
type ProblemError struct {
	Location string `json:"location,omitempty" doc:"Such as body.name, path.id or query.limit."`
	Message  string `json:"message"`
}

// Error implements error with the text that is shown.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return problemType }

// GetHeaders implements huma.HeadersError with Retry-After, where trying again makes sense.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(p.retryAfter.Seconds())))))
	}
	return h
}

const problemType = "application/problem+json"

// internalDetail is all that anybody is told about an error that is ours.
const internalDetail = "Something went wrong on the server. Its log has the details under the request id."

var statusOf = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusUnprocessableEntity,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Forbidden:       http.StatusForbidden,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Exhausted:       http.StatusTooManyRequests,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Timeout:         http.StatusGatewayTimeout,
}

// problemOf is the one function that turns an error into what is shown of it. The message of an error that is not a fault
// is never shown.
func problemOf(ctx context.Context, err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		p.RequestID = requestOf(ctx).ID
		return p
	}
	p := &Problem{Status: http.StatusInternalServerError, Detail: internalDetail}
	f, isFault := errors.AsType[*fault.Error](err)
	switch {
	case isFault && f.Kind != fault.Internal:
		p.Status, p.Detail, p.retryAfter = statusOf[f.Kind], f.Message, f.RetryAfter
		if f.Field != "" {
			p.Errors = []ProblemError{{Location: f.Field, Message: f.Message}}
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p.Status, p.retryAfter = http.StatusServiceUnavailable, time.Second
		p.Detail = "The server could not answer in time. Try again in a moment."
	}
	if p.Status == http.StatusServiceUnavailable && p.retryAfter == 0 {
		p.retryAfter = time.Second
	}
	if stale, ok := errors.AsType[*workspace.VersionConflict](err); ok && stale.Current != nil {
		item := itemOf(*stale.Current)
		p.Current = &item
	}
	return p.complete(ctx)
}

func (p *Problem) complete(ctx context.Context) *Problem {
	p.Type, p.Title, p.RequestID = "about:blank", http.StatusText(p.Status), requestOf(ctx).ID
	return p
}

func newProblem(ctx context.Context, status int, detail string, errs ...ProblemError) *Problem {
	p := &Problem{Status: status, Detail: detail, Errors: errs}
	return p.complete(ctx)
}

// writeProblem answers with the problem. The headers that belong to what was meant to be sent are taken back.
func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Disposition", "Content-Encoding", "ETag", "Last-Modified"} {
		h.Del(name)
	}
	for name, values := range p.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", problemType)
	h.Set("Cache-Control", "no-store")
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // Problem has no field that cannot be marshalled
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone; there is nobody to tell
}

// replaceHumaErrors makes huma use Problem. Its constructors are package variables, so it is done once for the process.
var replaceHumaErrors = sync.OnceFunc(func() {
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return problemOfHuma(context.Background(), status, msg, errs)
	}
	huma.NewErrorWithContext = func(hctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		ctx := context.Background()
		if hctx != nil {
			ctx = hctx.Context()
		}
		return problemOfHuma(ctx, status, msg, errs)
	}
})

// problemOfHuma rewords what huma found wrong with a request. huma's own details hold the rejected value, and some of its
// messages do too, so only the location and a message that is known to hold none are kept.
func problemOfHuma(ctx context.Context, status int, msg string, errs []error) *Problem {
	if status >= 500 {
		return newProblem(ctx, status, internalDetail)
	}
	p := newProblem(ctx, status, "The request is not valid.")
	if status == http.StatusRequestEntityTooLarge {
		p.Detail = "The request's body is too large: at most 64 KiB are allowed here."
	}
	if status == http.StatusRequestTimeout {
		p.Detail = "The request's body did not arrive in time."
	}
	if len(errs) == 0 && status == http.StatusBadRequest && msg != "" {
		p.Detail = "A JSON body is required."
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		one := ProblemError{Message: "is not valid"}
		if d, ok := err.(huma.ErrorDetailer); ok {
			detail := d.ErrorDetail()
			one = ProblemError{Location: shorten(detail.Location), Message: safeMessage(detail.Message)}
		}
		p.Errors = append(p.Errors, one)
	}
	if len(p.Errors) > 0 {
		p.Detail = "The request is not valid: " + strings.TrimPrefix(p.Errors[0].Location+": ", ": ") + p.Errors[0].Message + "."
	}
	return p
}

// shorten bounds a location, which holds the names that a client gave its fields.
func shorten(location string) string {
	const limit = 100
	if len(location) <= limit {
		return location
	}
	return strings.ToValidUTF8(location[:limit], "") + "…"
}

// knownMessages are the beginnings of huma's messages that say what is expected; what follows them in huma's text may
// hold the value, as in "expected string to be RFC 4122 uuid: invalid urn prefix: …", unless whole is set.
var knownMessages = []struct {
	prefix string
	whole  bool
}{
	{"unexpected property", true},
	{"unknown query parameter", true},
	{"required ", true},
	{"expected required property ", true},
	{"expected number", true},
	{"expected integer", true},
	{"expected string to be ", false},
	{"expected string", true},
	{"expected boolean", true},
	{"expected array", true},
	{"expected object", true},
	{"expected value to be one of ", true},
	{"expected length ", true},
	{"invalid integer", true},
	{"invalid boolean", true},
}

func safeMessage(msg string) string {
	if jsonMessages[msg] {
		return msg
	}
	for _, known := range knownMessages {
		if !strings.HasPrefix(msg, known.prefix) {
			continue
		}
		if !known.whole {
			msg, _, _ = strings.Cut(msg, ":")
		}
		return shorten(msg)
	}
	if strings.HasPrefix(msg, huma.ErrUnknownContentType.Error()) {
		return "must be application/json"
	}
	return "is not valid"
}
