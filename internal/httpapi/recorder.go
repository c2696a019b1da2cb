package httpapi

import (
	"bufio"
	"net"
	"net/http"
)

// recorder remembers what was answered, and the connection when it was taken over for a WebSocket.
type recorder struct {
	http.ResponseWriter
	status   int
	bytes    int64
	hijacked bool
	conn     net.Conn
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 || r.status == http.StatusSwitchingProtocols {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Hijack implements http.Hijacker.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	r.hijacked = err == nil
	r.conn = conn
	return conn, rw, err
}
