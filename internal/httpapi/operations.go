package httpapi

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vivarium/internal/fault"
)

// registerOperations puts on the mux what operators and their machines ask for. None of it is in the document.
func (a *API) registerOperations() {
	a.page.put(a)
	a.plain("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	a.plain("GET /readyz", a.ready)
	a.plain("GET /metrics", func(w http.ResponseWriter, r *http.Request) error {
		if err := a.mayReadMetrics(r); err != nil {
			return err
		}
		promhttp.HandlerFor(a.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP(w, r)
		return nil
	})
	a.plain("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(a.openapi)
		return nil
	})
}

func (a *API) plain(pattern string, handler func(http.ResponseWriter, *http.Request) error) {
	_, path, _ := strings.Cut(pattern, " ")
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		requestOf(r.Context()).Route = path
		w.Header().Set("Cache-Control", "no-store")
		if err := handler(w, r); err != nil {
			writeProblem(w, a.problem(r.Context(), err))
		}
	})
}

type readiness struct {
	Status string           `json:"status"`
	Checks []readinessCheck `json:"checks"`
}

type readinessCheck struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
}

// ready says which dependencies work. Why one does not is in the log, not in the answer: anybody may ask.
func (a *API) ready(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 3*time.Second)
	defer cancel()
	out, status := readiness{Status: "ok", Checks: []readinessCheck{}}, http.StatusOK
	for _, check := range a.cfg.Ready {
		err := check.Test(ctx)
		if err != nil {
			a.log.WarnContext(ctx, "not ready", "check", check.Name, "err", err)
			out.Status, status = "unavailable", http.StatusServiceUnavailable
		}
		out.Checks = append(out.Checks, readinessCheck{Name: check.Name, OK: err == nil})
	}
	return writeJSON(w, status, out)
}

// mayReadMetrics lets administrators in, and whoever is on the server's machine: the peer is a loopback address, the server
// is asked for by a loopback name, and nothing says that a proxy on the machine passes on for somebody else.
func (a *API) mayReadMetrics(r *http.Request) error {
	if local(r) {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), quick)
	defer cancel()
	p, err := a.authenticate(ctx, eachHeader(r.Header))
	if err != nil {
		return err
	}
	if !p.Admin {
		return fault.New(fault.Forbidden, "Only administrators may read the metrics.")
	}
	return nil
}

func local(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip"} {
		if len(r.Header.Values(name)) > 0 {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	host := r.Host
	if at := strings.LastIndexByte(host, ':'); at >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:at]
	}
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}
