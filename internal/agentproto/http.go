package agentproto

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// Refuse returns an Error.
func Refuse(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Answer sends a value as JSON. That the stream was lost is for the other side to notice.
func Answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"kind":"internal","message":"an answer that is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// Handler makes an http.HandlerFunc of a function whose error becomes the answer. unexpected is told of errors that are
// no refusal, and returns what to send.
func Handler(f func(http.ResponseWriter, *http.Request) error, unexpected func(*http.Request, error) *Error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := f(w, r)
		if err == nil {
			return
		}
		refusal, ok := errors.AsType[*Error](err)
		if !ok {
			refusal = unexpected(r, err)
		}
		Answer(w, refusal.Status(), refusal)
	}
}
