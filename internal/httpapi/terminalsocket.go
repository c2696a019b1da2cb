package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
)

// The messages of the terminal socket, described in docs/protocol.md.
type (
	attachedMessage struct {
		Type  string `json:"type" enum:"attached"`
		Seq   uint64 `json:"seq"`
		Write bool   `json:"write"`
		Title string `json:"title"`
		Kind  string `json:"kind" enum:"shell,run"`
	}
	droppedMessage struct {
		Type  string `json:"type" enum:"dropped"`
		Bytes uint64 `json:"bytes"`
		Seq   uint64 `json:"seq"`
	}
	sizeMessage struct {
		Type string `json:"type" enum:"size"`
		Cols uint16 `json:"cols"`
		Rows uint16 `json:"rows"`
	}
	exitMessage struct {
		Type string `json:"type" enum:"exit"`
		Exit
	}
	// viewerMessage is what a browser says. Numbers are json.Number, so that one out of range is clamped, not refused.
	viewerMessage struct {
		Type string      `json:"type"`
		Cols json.Number `json:"cols"`
		Rows json.Number `json:"rows"`
		Seq  *uint64     `json:"seq"`
	}
)

const (
	// terminalReadLimit is one frame of input, with some slack for a client that counts characters.
	terminalReadLimit = terminal.MaxFrame + 1<<10
	maxControl        = 1 << 10
	// messageRate is far beyond what hands, a paste or acknowledgements need. Beyond it the client is made to wait.
	messageRate  = 4000
	messageBurst = 4000
	// resizeEvery bounds how often a size reaches the PTY: each makes the shell draw itself again.
	resizeEvery = 40 * time.Millisecond
)

func (a *API) attachTerminal(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	if err := a.allowUpgrade(r); err != nil {
		return err
	}
	options, err := attachOptions(r.URL)
	if err != nil {
		return err
	}
	ws, err := parseID(r.PathValue("id"), "workspace")
	if err != nil {
		return err
	}
	tid, err := parseID(r.PathValue("tid"), "terminal")
	if err != nil {
		return err
	}
	attachCtx, cancel := context.WithCancel(context.WithoutCancel(r.Context())) // it lives as long as the socket
	defer cancel()
	stop := time.AfterFunc(steady, cancel)
	attachment, state, err := a.cfg.Terminals.Attach(attachCtx, p, ws, tid.String(), options)
	if !stop.Stop() && err == nil {
		_ = attachment.Close()
		err = context.DeadlineExceeded
	}
	if err != nil {
		return err
	}
	s, err := a.sockets.accept(w, r, "terminal", p, ws, terminalReadLimit)
	if err != nil {
		_ = attachment.Close()
		return err
	}
	v := &viewer{socket: s, attachment: attachment, state: state, from: options.From, pace: newBucket(messageRate, messageBurst)}
	s.work.Go(func() {
		code, reason := v.show()
		if code == closeBroken {
			code, reason = a.whyBroken(v)
		}
		s.closeSoon(code, reason)
	})
	s.work.Go(func() { // the end of the socket, from whichever side, ends both directions
		<-s.ctx.Done()
		_ = attachment.Close()
	})
	code, reason := v.listen()
	s.finish(code, reason)
	v.resizes.stop()
	return nil
}

// attachOptions reads the query. Parameters that are not known are refused: a token in a URL would end in logs.
func attachOptions(u *url.URL) (terminal.AttachOptions, error) {
	o := terminal.AttachOptions{Write: true} // only the owner gets as far as this
	if err := onlyQuery(u, "from", "cols", "rows"); err != nil {
		return o, err
	}
	query := u.Query()
	var err error
	if from := query.Get("from"); from != "" {
		if o.From, err = strconv.ParseUint(from, 10, 64); err != nil {
			return o, fault.New(fault.Invalid, "Must be a sequence number.").On("query.from")
		}
	}
	cols, rows := query.Get("cols"), query.Get("rows")
	if cols == "" && rows == "" {
		return o, nil
	}
	c, err1 := strconv.ParseFloat(cols, 64)
	r, err2 := strconv.ParseFloat(rows, 64)
	if err := errors.Join(outOfRangeIsFine(err1), outOfRangeIsFine(err2)); err != nil || math.IsNaN(c) || math.IsNaN(r) {
		return o, fault.New(fault.Invalid, "Must be numbers, both of them.").On("query.cols")
	}
	o.Size = clampSize(c, r)
	return o, nil
}

// outOfRangeIsFine drops the error of a number such as 1e309, which is parsed as infinite and then clamped.
func outOfRangeIsFine(err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return nil
	}
	return err
}

// closeBroken is never sent: it stands for a lost connection to the agent until it is known why.
const closeBroken websocket.StatusCode = 0

// whyBroken tells a session that has ended from one that will be back in a moment.
func (a *API) whyBroken(v *viewer) (websocket.StatusCode, string) {
	ctx, cancel := context.WithTimeout(v.socket.ctx, quick)
	defer cancel()
	view, err := a.cfg.Views.View(ctx, v.socket.principal, v.socket.workspace)
	if err == nil && (view.Session == nil || view.Session.State == session.Ended || view.Session.State == session.Ending) {
		return closeGone, "The session has ended."
	}
	return websocket.StatusServiceRestart, "The connection to the sandbox was lost. Come back."
}

// viewer passes one terminal to and from one browser.
type viewer struct {
	socket     *socket
	attachment terminal.Attachment
	state      terminal.State
	from       uint64
	pace       *bucket
	resizes    resizes
}

// show sends output until the terminal or the socket ends, and returns how to close. It is the terminal's whole path of
// data on the server: each event is written as soon as it is there, by the goroutine that received it.
func (v *viewer) show() (websocket.StatusCode, string) {
	attached := false
	attach := func(seq uint64) error {
		attached = true
		return v.socket.sendJSON(attachedMessage{Type: "attached", Seq: seq, Write: true, Title: v.state.Title, Kind: string(v.state.Kind)})
	}
	// When there is output to come, the first of it says where it begins, which may be later than what was asked for.
	if v.from >= v.state.End {
		if err := attach(v.from); err != nil {
			return websocket.StatusPolicyViolation, "The client does not read."
		}
	}
	var early *terminal.Size
	for {
		event, err := v.attachment.Next()
		switch {
		case errors.Is(err, io.EOF):
			return closeGone, "The terminal is closed."
		case err != nil:
			return closeBroken, ""
		case event.Size != nil && !attached:
			early = event.Size
			continue
		case event.Exit != nil && !attached:
			err = attach(max(v.from, v.state.End))
		case !attached:
			err = attach(event.Seq)
		}
		if err == nil && early != nil {
			err = v.socket.sendJSON(sizeMessage{Type: "size", Cols: early.Cols, Rows: early.Rows})
			early = nil
		}
		if err == nil {
			err = v.forward(event)
		}
		if err != nil {
			return websocket.StatusPolicyViolation, "The client does not read."
		}
		if event.Exit != nil {
			return websocket.StatusNormalClosure, "The process has ended."
		}
	}
}

func (v *viewer) forward(event terminal.Event) error {
	switch {
	case event.Data != nil:
		for data := event.Data; len(data) > 0; {
			n := min(len(data), terminal.MaxFrame)
			if err := v.socket.send(websocket.MessageBinary, data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		return nil
	case event.Dropped > 0:
		return v.socket.sendJSON(droppedMessage{Type: "dropped", Bytes: event.Dropped, Seq: event.Seq})
	case event.Size != nil:
		return v.socket.sendJSON(sizeMessage{Type: "size", Cols: event.Size.Cols, Rows: event.Size.Rows})
	case event.Exit != nil:
		return v.socket.sendJSON(exitMessage{Type: "exit", Exit: Exit{Code: event.Exit.Code, Signal: event.Exit.Signal, At: event.Exit.At}})
	}
	return nil
}

// listen takes input and control messages until the socket ends, and returns how to close it if nobody has yet.
func (v *viewer) listen() (websocket.StatusCode, string) {
	var buf bytes.Buffer
	var flooding time.Time
	for {
		// The context must not end: that would cut the connection instead of closing it. closeSoon ends the reading.
		kind, reader, err := v.socket.Reader(context.Background())
		if err == nil {
			buf.Reset()
			_, err = buf.ReadFrom(reader)
		}
		if err != nil {
			return readFailed(err)
		}
		if wait := v.pace.wait(time.Now(), 1); wait > 0 {
			if flooding.IsZero() {
				flooding = time.Now()
			}
			if time.Since(flooding) > v.socket.api.sockets.times.flood {
				return websocket.StatusPolicyViolation, "Too many messages."
			}
			if !v.pause(max(wait, 10*time.Millisecond)) {
				return websocket.StatusNormalClosure, ""
			}
		} else if v.pace.calm() {
			flooding = time.Time{}
		}
		if v.socket.ctx.Err() != nil {
			return websocket.StatusNormalClosure, "" // not one byte more after the right has ended
		}
		if kind == websocket.MessageBinary {
			err = v.input(buf.Bytes())
		} else {
			err = v.control(buf.Bytes())
		}
		if errors.Is(err, errProtocol) {
			return websocket.StatusPolicyViolation, "This message is not understood."
		}
		if err != nil {
			// The other direction says why the attachment is gone, and closes.
			<-v.socket.ctx.Done()
			return websocket.StatusNormalClosure, ""
		}
	}
}

// pause makes the client wait: nothing is read meanwhile, so that its own connection holds it back.
func (v *viewer) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-v.socket.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

var errProtocol = errors.New("not a message of the protocol")

func (v *viewer) input(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), terminal.MaxFrame)
		if err := v.attachment.Input(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (v *viewer) control(p []byte) error {
	if len(p) > maxControl || checkJSON(p) != nil {
		return errProtocol
	}
	dec := json.NewDecoder(bytes.NewReader(p))
	dec.DisallowUnknownFields()
	var m viewerMessage
	if err := dec.Decode(&m); err != nil {
		return errProtocol
	}
	switch {
	case m.Type == "ack" && m.Seq != nil && m.Cols == "" && m.Rows == "":
		return v.attachment.Ack(*m.Seq)
	case m.Type == "resize" && m.Seq == nil && m.Cols != "" && m.Rows != "":
		cols, err1 := m.Cols.Float64()
		rows, err2 := m.Rows.Float64()
		if outOfRangeIsFine(err1) != nil || outOfRangeIsFine(err2) != nil {
			return errProtocol
		}
		return v.resizes.ask(clampSize(cols, rows), v.attachment.Resize)
	}
	return errProtocol
}

// resizes passes sizes on at a bounded rate: the first at once, and of those that follow the newest.
type resizes struct {
	mu      sync.Mutex
	timer   *time.Timer // set while waiting
	next    *terminal.Size
	stopped bool
}

func (r *resizes) ask(size terminal.Size, resize func(terminal.Size) error) error {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return nil
	}
	if r.timer != nil {
		r.next = &size
		r.mu.Unlock()
		return nil
	}
	r.timer = time.AfterFunc(resizeEvery, func() {
		r.mu.Lock()
		next := r.next
		r.timer, r.next = nil, nil
		r.mu.Unlock()
		if next != nil {
			_ = r.ask(*next, resize) // an attachment that is gone is noticed by its reader
		}
	})
	r.mu.Unlock()
	return resize(size)
}

func (r *resizes) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	if r.timer != nil {
		r.timer.Stop()
	}
}
