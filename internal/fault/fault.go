// Package fault is the vocabulary of errors that every layer shares: a kind, which decides how a caller reacts and which
// HTTP status is sent, and a message that is safe to show to the person who caused it.
//
// An error that is not a fault is internal: it is logged with the request's id and shown as "internal error". No package
// may put a secret, a host path or another person's data into a fault's message.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind says how a caller should react to an error.
type Kind int

// The kinds, with the HTTP status that each is sent as.
const (
	Internal        Kind = iota // 500: ours; the message is not shown
	Invalid                     // 422: the input is wrong; the message says which field and what is allowed
	NotFound                    // 404: it does not exist, or the caller may not know that it does
	Conflict                    // 409: the state has changed since the caller looked
	Forbidden                   // 403: known caller, not allowed
	Unauthenticated             // 401: no valid login
	Exhausted                   // 429: a limit or quota is reached
	TooLarge                    // 413: more bytes than the limit named in the message
	Unavailable                 // 503: a dependency is down; trying again helps
	Timeout                     // 504: the far side did not answer in time
)

var kindNames = [...]string{"internal", "invalid", "not found", "conflict", "forbidden", "unauthenticated", "exhausted",
	"too large", "unavailable", "timeout"}

// String returns the kind's name in words.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown"
	}
	return kindNames[k]
}

// Error is an error with a kind and a message that may be shown.
type Error struct {
	Kind    Kind
	Message string
	// Field names the input that is wrong, in the API's words, for Invalid; empty where none applies.
	Field string
	// RetryAfter is when trying again makes sense, for Exhausted and Unavailable; zero when unknown.
	RetryAfter time.Duration
	cause      error
}

// New returns an error of the kind, with a message that may be shown.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the kind that keeps its cause for the log; the cause is never shown.
func Wrap(cause error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), cause: cause}
}

// On names the input field that the error is about.
func (e *Error) On(field string) *Error {
	e.Field = field
	return e
}

// After says when trying again makes sense.
func (e *Error) After(d time.Duration) *Error {
	e.RetryAfter = d
	return e
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the first fault in the chain, and Internal where there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// MessageOf returns the message of the first fault in the chain, which is safe to show, and a plain sentence where there
// is none.
func MessageOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Message
	}
	return "Internal error."
}

// Is reports whether the error's kind is k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
