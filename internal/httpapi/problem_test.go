package httpapi

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
)

func TestNo5xxCarriesAnInternalMessage(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	const secret = "pq: password of /var/lib/secret at 10.1.2.3"
	for _, c := range []struct {
		name   string
		err    error
		status int
	}{
		{"an error that is no fault", errors.New(secret), 500},
		{"an internal fault", fault.New(fault.Internal, secret), 500},
		{"a fault with a cause", fault.Wrap(errors.New(secret), fault.Unavailable, "The sandbox is away."), 503},
		{"a deadline", fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), 503},
		{"a far side that does not answer", fault.Wrap(errors.New(secret), fault.Timeout, "No answer."), 504},
	} {
		w.sessions.fail(c.err)
		got := want(t, c.name, ada.json("POST", "/workspaces/"+ada.workspace+"/session", ""), c.status)
		p := got.problem(t)
		if strings.Contains(got.body, "secret") || strings.Contains(fmt.Sprint(got.header), "secret") {
			t.Errorf("%s: the answer shows %q", c.name, got.body)
		}
		if c.status == 503 && got.header.Get("Retry-After") == "" {
			t.Errorf("%s: want Retry-After", c.name)
		}
		if log := w.log.String(); !strings.Contains(log, p.RequestID) || !strings.Contains(log, "password of") {
			t.Errorf("%s: want the cause in the log under the request's id", c.name)
		}
	}
}

func TestAPanicIsA500WithoutItsMessage(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	w.sessions.fail(panicking{})
	got := want(t, "panic", ada.json("POST", "/workspaces/"+ada.workspace+"/session", ""), 500)
	got.problem(t)
	if strings.Contains(got.body, "boom") {
		t.Errorf("the answer shows the panic: %s", got.body)
	}
	want(t, "the next request", ada.json("GET", "/auth/me", ""), 200)
}

// panicking is an error that panics when it is looked at.
type panicking struct{}

func (panicking) Error() string { panic("boom") }
func (panicking) As(any) bool   { panic("boom") }

func TestWhatHumaSaysOfAServersErrorIsNotShown(t *testing.T) {
	p := problemOfHuma(context.Background(), 500, "cannot read /var/lib/secret", []error{errors.New("secret")})
	if strings.Contains(fmt.Sprintf("%+v", *p), "secret") || p.Detail != internalDetail {
		t.Errorf("got %+v", *p)
	}
}

func TestRetryAfterIsInWholeSecondsAndNeverZero(t *testing.T) {
	for after, want := range map[time.Duration]string{time.Millisecond: "1", 1500 * time.Millisecond: "2", time.Minute: "60"} {
		p := problemOf(context.Background(), fault.New(fault.Exhausted, "Wait.").After(after))
		if got := p.GetHeaders().Get("Retry-After"); got != want {
			t.Errorf("after %v: want Retry-After %s, got %s", after, want, got)
		}
	}
}

func TestEveryKindOfFaultHasAStatus(t *testing.T) {
	for kind := fault.Internal; kind <= fault.Timeout; kind++ {
		if statusOf[kind] == 0 {
			t.Errorf("%v has none", kind)
		}
	}
}

func TestA422NamesTheFieldAndNeverRepeatsTheValue(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	const value = "hunter2-hunter2"
	for _, c := range []struct{ name, method, path, body, location string }{
		{"wrong type", "POST", "/auth/login", `{"username":"ada","password":["` + value + `"]}`, "body.password"},
		{"unknown field", "POST", "/auth/login", `{"username":"ada","password":"x","other":"` + value + `"}`, "body.other"},
		{"missing field", "POST", "/auth/login", `{"username":"` + value + `"}`, "body"},
		{"a number out of range", "POST", "/workspaces/" + ada.workspace + "/terminals", `{"cols":1e309,"rows":24}`, "body"},
		{"a query that is no number", "GET", "/workspaces?limit=" + value, "", "query.limit"},
		{"a query out of range", "GET", "/workspaces?limit=201", "", "query.limit"},
		{"an unknown query", "GET", "/workspaces?token=" + value, "", "query.token"},
		{"a bad path", "POST", "/workspaces/" + ada.workspace + "/folders", `{"path":"../` + value + `"}`, "path"},
	} {
		got := ada.json(c.method, c.path, c.body)
		if got.status != 422 && got.status != 400 {
			t.Errorf("%s: want it refused, got %d %s", c.name, got.status, got.body)
			continue
		}
		p := got.problem(t)
		if len(p.Errors) == 0 || p.Errors[0].Location != c.location || p.Errors[0].Message == "" {
			t.Errorf("%s: want an error on %s, got %s", c.name, c.location, got.body)
		}
		if strings.Contains(got.body, value) {
			t.Errorf("%s: the answer repeats the value: %s", c.name, got.body)
		}
	}
}
