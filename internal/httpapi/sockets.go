package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

// times bound what sockets wait for.
type times struct {
	alive time.Duration // how often it is asked whether the login may still be used
	grace time.Duration // how long a database that does not answer is no reason to close
	ping  time.Duration // how often, and how long for the pong: a peer that is gone is found within twice that
	write time.Duration // for a client that does not read
	close time.Duration // for the closing handshake, after which the connection is cut
	flood time.Duration // how long a client may go on at the limit of messages before it is shown the door
}

var usualTimes = times{alive: 4 * time.Second, grace: 30 * time.Second, ping: 20 * time.Second, write: 20 * time.Second,
	close: 12 * time.Second, flood: 10 * time.Second}

const (
	socketsOfUser = 64
	controlRate   = 50 // pings a second that a client may send
)

// closeGone is the close code of a workspace or terminal that is not there any more.
const closeGone websocket.StatusCode = 4404

// sockets knows all that are open, so that they end with the login, the workspace or the server, and none is left behind.
type sockets struct {
	api   *API
	times times

	mu      sync.Mutex
	closing bool
	open    map[*socket]struct{}
	users   map[uuid.UUID]*userSockets
	wg      sync.WaitGroup
}

// userSockets bounds the sockets of one user.
type userSockets struct {
	open      int
	handshake *bucket
}

func newSockets(a *API) *sockets {
	return &sockets{api: a, times: usualTimes, open: map[*socket]struct{}{}, users: map[uuid.UUID]*userSockets{}}
}

// socket is one open WebSocket. Its handler's goroutine reads; others may write and close it.
type socket struct {
	*websocket.Conn
	api       *API
	kind      string
	principal auth.Principal
	workspace uuid.UUID
	raw       net.Conn

	ctx     context.Context // ends when the socket is to be closed
	cancel  context.CancelFunc
	recheck chan struct{}
	closed  sync.Once
	work    sync.WaitGroup // everything that runs for the socket beside its handler
}

// allowUpgrade decides whether a request may become a WebSocket, before anything is started for it. A browser sends the
// cookie along whatever page asks, so the page's origin must be named and be one of ours.
func (a *API) allowUpgrade(r *http.Request) error {
	if !isUpgrade(r.Header) {
		return newProblem(r.Context(), http.StatusUpgradeRequired, "This is a WebSocket: send Upgrade: websocket.")
	}
	if origin := r.Header["Origin"]; len(origin) != 1 || !a.origins[origin[0]] {
		return fault.New(fault.Forbidden, "WebSockets may only be opened by this server's own pages.")
	}
	return nil
}

func isUpgrade(h http.Header) bool {
	return hasToken(h, "Connection", "upgrade") && hasToken(h, "Upgrade", "websocket")
}

func hasToken(h http.Header, name, token string) bool {
	for _, value := range h.Values(name) {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// accept makes the request a WebSocket. The caller must defer socket.finish.
func (s *sockets) accept(w http.ResponseWriter, r *http.Request, kind string, p auth.Principal, ws uuid.UUID, readLimit int64) (*socket, error) {
	if err := s.admit(p.UserID); err != nil {
		return nil, err
	}
	one := &socket{api: s.api, kind: kind, principal: p, workspace: ws, recheck: make(chan struct{}, 1)}
	one.ctx, one.cancel = context.WithCancel(context.WithoutCancel(r.Context()))
	control := newBucket(controlRate, 4*controlRate)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // allowUpgrade has checked more strictly
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived: func(context.Context, []byte) bool {
			if !control.take(time.Now()) {
				one.closeSoon(websocket.StatusPolicyViolation, "Too many pings.")
				return false
			}
			return true
		},
	})
	if err != nil {
		one.cancel()
		s.release(p.UserID)
		return nil, errAnswered // Accept has answered
	}
	if rec, ok := w.(*recorder); ok {
		one.raw = rec.conn
	}
	conn.SetReadLimit(readLimit)
	one.Conn = conn
	s.mu.Lock()
	s.open[one] = struct{}{}
	closing := s.closing
	s.mu.Unlock()
	s.api.metrics.sockets.WithLabelValues(kind).Inc()
	if closing {
		one.closeSoon(websocket.StatusGoingAway, "The server is stopping.")
	}
	one.work.Go(one.watch)
	return one, nil
}

// errAnswered says that the answer has been sent already.
var errAnswered = errors.New("already answered")

// admit counts a socket that is about to open.
func (s *sockets) admit(user uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return fault.New(fault.Unavailable, "The server is stopping. Try again in a moment.").After(time.Second)
	}
	u := s.users[user]
	if u == nil {
		if len(s.users) > 10_000 {
			s.forgetIdle()
		}
		u = &userSockets{handshake: newBucket(10, 60)}
		s.users[user] = u
	}
	if u.open >= socketsOfUser {
		return fault.New(fault.Exhausted, "Too many open pages: at most %d connections are allowed.", socketsOfUser).After(5 * time.Second)
	}
	if wait := u.handshake.wait(time.Now(), 1); wait > 0 {
		return fault.New(fault.Exhausted, "Connections are opened too fast. Try again in a moment.").After(wait)
	}
	u.open++
	s.wg.Add(1)
	return nil
}

// forgetIdle drops the buckets of users without sockets. The lock is held.
func (s *sockets) forgetIdle() {
	for id, u := range s.users {
		if u.open == 0 {
			delete(s.users, id)
		}
	}
}

func (s *sockets) release(user uuid.UUID) {
	s.mu.Lock()
	s.users[user].open--
	s.mu.Unlock()
	s.wg.Done()
}

// recheck makes the user's sockets ask at once whether they may stay open.
func (s *sockets) recheck(user uuid.UUID) {
	s.each(func(one *socket) bool { return one.principal.UserID == user })
}

// recheckWorkspace does so for the sockets of a workspace.
func (s *sockets) recheckWorkspace(ws uuid.UUID) {
	s.each(func(one *socket) bool { return one.workspace == ws })
}

func (s *sockets) each(concerns func(*socket) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.open {
		if concerns(one) {
			select {
			case one.recheck <- struct{}{}:
			default:
			}
		}
	}
}

func (s *sockets) close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	all := make([]*socket, 0, len(s.open))
	for one := range s.open {
		all = append(all, one)
	}
	s.mu.Unlock()
	for _, one := range all {
		one.closeSoon(websocket.StatusGoingAway, "The server is stopping.")
	}
	done := make(chan struct{})
	go func() { // ends with the last socket, each of which is cut in the end
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// closeSoon begins to close the socket and returns at once. Only the first call says why.
func (s *socket) closeSoon(code websocket.StatusCode, reason string) {
	s.closed.Do(func() {
		s.cancel()
		s.work.Go(func() {
			cut := time.AfterFunc(s.api.sockets.times.close, s.cut)
			defer cut.Stop()
			_ = s.Close(code, reason) // fails when the peer is gone, which is as good
		})
	})
}

// cut ends the connection without a word.
func (s *socket) cut() {
	if s.raw != nil {
		_ = s.raw.Close()
	}
}

// finish closes the socket, waits for all that works for it, and forgets it.
func (s *socket) finish(code websocket.StatusCode, reason string) {
	s.closeSoon(code, reason)
	s.work.Wait()
	s.cut()
	registry := s.api.sockets
	registry.mu.Lock()
	delete(registry.open, s)
	registry.mu.Unlock()
	s.api.metrics.sockets.WithLabelValues(s.kind).Dec()
	registry.release(s.principal.UserID)
}

// watch closes the socket when its login has ended, when its workspace is gone, and when its peer does not answer.
func (s *socket) watch() {
	times := s.api.sockets.times
	alive, ping := time.NewTicker(times.alive), time.NewTicker(times.ping)
	defer alive.Stop()
	defer ping.Stop()
	asked := time.Now()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ping.C:
			s.work.Go(s.ping)
			continue
		case <-s.recheck:
		case <-alive.C:
		}
		code, reason, err := s.mayStay()
		switch {
		case s.ctx.Err() != nil:
			return
		case err != nil && time.Since(asked) > times.grace:
			s.closeSoon(websocket.StatusTryAgainLater, "The server cannot check your login.")
			return
		case err != nil: // open sockets outlive a short trouble of the database
		case code != 0:
			s.closeSoon(code, reason)
			return
		default:
			asked = time.Now()
		}
	}
}

// mayStay asks whether the socket's rights still hold; code says how to close it when they do not.
func (s *socket) mayStay() (code websocket.StatusCode, reason string, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, quick)
	defer cancel()
	alive, err := s.api.cfg.Auth.Alive(ctx, s.principal)
	if err != nil {
		return 0, "", err
	}
	if !alive {
		return websocket.StatusPolicyViolation, "Your login has ended.", nil
	}
	_, err = s.api.cfg.Files.Get(ctx, s.principal, s.workspace)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Forbidden) {
		return closeGone, "The workspace is gone.", nil
	}
	return 0, "", err
}

func (s *socket) ping() {
	ctx, cancel := context.WithTimeout(s.ctx, s.api.sockets.times.ping)
	defer cancel()
	if err := s.Ping(ctx); err != nil && s.ctx.Err() == nil {
		s.closeSoon(websocket.StatusPolicyViolation, "No answer.")
		s.cut()
	}
}

// send writes one message. A client that does not read for too long loses the connection.
func (s *socket) send(kind websocket.MessageType, p []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.api.sockets.times.write)
	defer cancel()
	return s.Write(ctx, kind, p)
}

func (s *socket) sendJSON(v any) error {
	p, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.send(websocket.MessageText, p)
}

// readFailed says how to close a socket that cannot be read any more. A peer that said goodbye gets the same; for one that
// broke the protocol the library does not always say so itself, and one that is gone does not hear it.
func readFailed(err error) (websocket.StatusCode, string) {
	if websocket.CloseStatus(err) >= 0 {
		return websocket.StatusNormalClosure, ""
	}
	return websocket.StatusProtocolError, "This is not the WebSocket protocol."
}

// describeSocket returns a WebSocket's operation for the document.
func (a *API) describeSocket(rt route, doc string, params ...*huma.Param) huma.Operation {
	op := rt.describe()
	op.Description = doc
	text := &huma.Schema{Type: "string"}
	op.Parameters = []*huma.Param{{Name: "id", In: "path", Required: true, Schema: text, Description: "The workspace's id."}}
	if strings.Contains(rt.path, "{tid}") {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "tid", In: "path", Required: true, Schema: text, Description: "The terminal's id."})
	}
	op.Parameters = append(op.Parameters, params...)
	problem := &huma.MediaType{Schema: a.huma.OpenAPI().Components.Schemas.Schema(typeOf[Problem](), true, "Problem")}
	op.Responses = map[string]*huma.Response{"101": {Description: "Switching to the WebSocket protocol"}}
	for _, status := range op.Errors {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{problemType: problem}}
	}
	return op
}
