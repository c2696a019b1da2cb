package agent

import (
	"encoding/json"
	"net/http"

	"vivarium/internal/agentproto"
	"vivarium/internal/terminal"
)

// maxBody bounds the JSON of a request.
const maxBody = 1 << 20

// Handler returns what the agent answers to the server.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, agentproto.Handler(f, a.failed))
	}
	route("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) error {
		agentproto.Answer(w, http.StatusOK, a.hello)
		return nil
	})
	route("GET /v1/terminals", func(w http.ResponseWriter, _ *http.Request) error {
		agentproto.Answer(w, http.StatusOK, a.terminals.list())
		return nil
	})
	route("POST /v1/terminals", func(w http.ResponseWriter, r *http.Request) error {
		var o terminal.Options
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
			return agentproto.Refuse(agentproto.Invalid, "the options are not JSON")
		}
		state, err := a.terminals.open(o)
		if err != nil {
			return err
		}
		agentproto.Answer(w, http.StatusCreated, state)
		return nil
	})
	route("DELETE /v1/terminals/{id}", func(w http.ResponseWriter, r *http.Request) error {
		if err := a.terminals.close(r.PathValue("id")); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
	route("POST /v1/terminals/{id}/attach", a.attach)
	mux.Handle("/v1/files/", a.files)
	return mux
}

// failed is for what the agent did not expect.
func (a *Agent) failed(r *http.Request, err error) *agentproto.Error {
	a.opts.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	return &agentproto.Error{Kind: agentproto.Internal, Message: "the agent failed: " + err.Error()}
}
