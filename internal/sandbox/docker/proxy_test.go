//go:build docker

package docker_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"testing"
)

// proxy stands between a driver and the daemon. It may change what one tells the other; a nil function changes nothing.
type proxy struct {
	// request looks at a request on its way to the daemon.
	request func(*http.Request)
	// response looks at an answer on its way back. After an error the driver gets no answer: the connection is cut.
	response func(*http.Response) error
}

// listen returns the proxy's address for the driver. It lives until the end of the test.
func (p proxy) listen(t *testing.T) string {
	t.Helper()
	upstream := strings.TrimPrefix(engine.host, "unix://")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", upstream)
	}}
	server := &http.Server{Handler: &httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "docker"
			if p.request != nil {
				p.request(r.Out)
			}
		},
		ModifyResponse: p.response,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // closed below
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		transport.CloseIdleConnections()
	})
	return "unix://" + socket
}
