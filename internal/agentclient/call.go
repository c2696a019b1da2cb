package agentclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/yamux"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
)

// request is one question to the agent.
type request struct {
	method, path string
	query        url.Values
	body         io.Reader
	length       int64 // of the body; -1 when it is not known
}

// do asks and returns a successful answer, whose body must be closed. The context must end by itself.
func (c *Client) do(ctx context.Context, q request) (*http.Response, error) {
	target := url.URL{Scheme: "http", Host: "agent", Path: q.path, RawQuery: q.query.Encode()}
	r, err := http.NewRequestWithContext(ctx, q.method, target.String(), q.body)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		r.ContentLength = q.length
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer response.Body.Close()
	var said agentproto.Error
	if err := decode(response.Body, &said); err != nil {
		return nil, c.broken(ctx, fmt.Errorf("status %d: %w", response.StatusCode, err))
	}
	return nil, refused(said)
}

// ask asks and reads the answer into a value, which may be nil.
func (c *Client) ask(ctx context.Context, q request, into any) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	response, err := c.do(ctx, q)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := decode(response.Body, into); err != nil {
		return c.broken(ctx, err)
	}
	return nil
}

// bounded gives the context a deadline if it has none.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, defaultWait)
}

// lost says why there is no answer.
func (c *Client) lost(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // to a caller, io.EOF is an end in good order
	}
	switch {
	case ctx.Err() != nil:
		return fault.Wrap(errors.Join(ctx.Err(), err), fault.Timeout, "The sandbox did not answer in time.")
	case c.session.IsClosed(), errors.Is(err, yamux.ErrSessionShutdown), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, yamux.ErrConnectionReset), errors.Is(err, yamux.ErrStreamClosed):
		return fault.Wrap(err, fault.Unavailable, "The connection to the sandbox was lost.")
	case errors.Is(err, yamux.ErrTimeout):
		return fault.Wrap(err, fault.Timeout, "The sandbox did not answer in time.")
	}
	return fault.Wrap(err, fault.Unavailable, "The sandbox gave an answer that cannot be used.")
}

// broken says that an answer is none. It is worth a line in the log: a sound agent gives no such answers.
func (c *Client) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil || c.session.IsClosed() || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, yamux.ErrConnectionReset) {
		return c.lost(ctx, err)
	}
	c.opts.Log.Warn("an agent gave an answer that cannot be used", "err", plain(err.Error(), 300))
	return fault.Wrap(err, fault.Unavailable, "The sandbox gave an answer that cannot be used.")
}

var refusals = map[agentproto.Kind]struct {
	kind    fault.Kind
	message string
}{
	agentproto.Invalid:     {fault.Invalid, "The sandbox cannot do that."},
	agentproto.NotFound:    {fault.NotFound, "There is no such thing in the sandbox."},
	agentproto.Conflict:    {fault.Conflict, "Something else is there in the sandbox now."},
	agentproto.Forbidden:   {fault.Forbidden, "The sandbox's permissions do not allow that."},
	agentproto.Exhausted:   {fault.Exhausted, "The sandbox has no room for that."},
	agentproto.TooLarge:    {fault.TooLarge, "That is too large for the sandbox."},
	agentproto.Unavailable: {fault.Unavailable, "The sandbox cannot do that just now."},
}

// refused makes a fault of what the agent said. Its words are for its owner, shortened and without control characters.
func refused(said agentproto.Error) error {
	row, known := refusals[said.Kind]
	cause := fmt.Errorf("the agent says %s: %s", plain(string(said.Kind), 40), plain(said.Message, 300))
	if !known {
		return fault.Wrap(cause, fault.Unavailable, "The sandbox's agent failed.")
	}
	if words := plain(said.Message, 200); words != "" {
		return fault.Wrap(cause, row.kind, "%s (%s)", row.message, words)
	}
	return fault.Wrap(cause, row.kind, "%s", row.message)
}

// plain returns text of the agent's as it may be shown: valid, on one line, without what turns its direction, and of at
// most limit bytes.
func plain(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
