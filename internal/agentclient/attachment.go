package agentclient

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/terminal"
)

// writeWait bounds how long one write to an agent may take that has stopped reading.
const writeWait = 10 * time.Second

// attachment is one viewer's stream. It checks that the agent leaves no gap and repeats nothing.
type attachment struct {
	client *Client
	conn   net.Conn
	frames *agentproto.Reader

	next  uint64 // sequence number that must come next; Next's alone
	ended bool   // the exit was delivered

	closed atomic.Bool
	mu     sync.Mutex // of writes
	out    []byte     // a frame being made
}

// Attach opens a viewer on a terminal. The context bounds only the opening.
func (c *Client) Attach(ctx context.Context, id string, o terminal.AttachOptions) (terminal.Attachment, error) {
	path, err := terminalPath(id)
	if err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	conn, err := c.open(ctx)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	a := &attachment{client: c, conn: conn}
	// The deadline of the stream is the context's; a cancelled context is one that has passed.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = a.open(path, o)
	if !stop() || err != nil {
		conn.Close()
		if err == nil || ctx.Err() != nil {
			err = c.lost(ctx, ctx.Err())
		}
		return nil, err
	}
	return a, nil
}

func (a *attachment) open(path string, o terminal.AttachOptions) error {
	query := url.Values{"from": {strconv.FormatUint(o.From, 10)}, "cols": {strconv.Itoa(int(o.Size.Cols))},
		"rows": {strconv.Itoa(int(o.Size.Rows))}, "write": {agentproto.Bit(o.Write)}}
	target := url.URL{Scheme: "http", Host: "agent", Path: path + "/attach", RawQuery: query.Encode()}
	r, err := http.NewRequest(http.MethodPost, target.String(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", agentproto.Upgrade)
	if err := r.Write(a.conn); err != nil {
		return a.client.lost(context.Background(), err)
	}
	// The header of the answer is bounded by what is read before the frames begin.
	limited := &io.LimitedReader{R: a.conn, N: maxAnswer}
	buffered := bufio.NewReaderSize(limited, agentproto.MaxData)
	response, err := http.ReadResponse(buffered, r)
	if err != nil {
		return a.client.lost(context.Background(), err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		defer response.Body.Close()
		var said agentproto.Error
		if err := decode(response.Body, &said); err != nil {
			return a.client.broken(context.Background(), err)
		}
		return refused(said)
	}
	limited.N = 1<<63 - 1
	a.next, err = strconv.ParseUint(response.Header.Get(agentproto.SeqHeader), 10, 64)
	if err != nil || a.next > o.From {
		return a.client.broken(context.Background(), errors.New("an attachment that starts nowhere"))
	}
	a.frames = agentproto.NewReader(buffered)
	return nil
}

// Next implements terminal.Attachment.
func (a *attachment) Next() (terminal.Event, error) {
	if a.ended || a.closed.Load() {
		return terminal.Event{}, io.EOF
	}
	kind, payload, err := a.frames.Next()
	if err != nil {
		return terminal.Event{}, a.end(err)
	}
	event, err := a.event(kind, payload)
	if err != nil {
		return terminal.Event{}, a.end(err)
	}
	return event, nil
}

// end closes the attachment and says why there is no next event. A stream that the agent closed in order, while the
// connection stands, is a terminal that was closed.
func (a *attachment) end(err error) error {
	wasClosed := a.closed.Load()
	a.Close()
	switch {
	case wasClosed, err == io.EOF && !a.client.session.IsClosed():
		return io.EOF
	case errors.Is(err, agentproto.ErrFrame), errors.Is(err, errStream):
		return a.client.broken(context.Background(), err)
	}
	return a.client.lost(context.Background(), err)
}

var errStream = errors.New("output that does not follow on what came before")

func (a *attachment) event(kind agentproto.FrameType, payload []byte) (terminal.Event, error) {
	switch kind {
	case agentproto.Output:
		seq, data := agentproto.ParseSeq(payload), payload[agentproto.SeqSize:]
		if seq != a.next || seq+uint64(len(data)) < seq {
			return terminal.Event{}, fmt.Errorf("%w: %d after %d", errStream, seq, a.next)
		}
		a.next += uint64(len(data))
		return terminal.Event{Seq: seq, Data: data}, nil
	case agentproto.Dropped:
		from, to := agentproto.ParseSeq(payload), agentproto.ParseSeq(payload[agentproto.SeqSize:])
		if from != a.next || to <= from {
			return terminal.Event{}, fmt.Errorf("%w: dropped %d to %d after %d", errStream, from, to, a.next)
		}
		a.next = to
		return terminal.Event{Seq: to, Dropped: to - from}, nil
	case agentproto.Size:
		cols, rows := agentproto.ParseSize(payload)
		size := terminal.Size{Cols: cols, Rows: rows}.Clamp()
		return terminal.Event{Seq: a.next, Size: &size}, nil
	case agentproto.Exit:
		var exit terminal.Exit
		if err := json.Unmarshal(payload, &exit); err != nil {
			return terminal.Event{}, fmt.Errorf("%w: %w", agentproto.ErrFrame, err)
		}
		exit.Signal = plain(exit.Signal, maxSignal)
		a.ended = true
		return terminal.Event{Seq: a.next, Exit: &exit}, nil
	default:
		return terminal.Event{}, fmt.Errorf("%w: type %#x from an agent", agentproto.ErrFrame, byte(kind))
	}
}

// Input implements terminal.Attachment.
func (a *attachment) Input(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), agentproto.MaxData)
		if err := a.send(func(b []byte) []byte { return agentproto.AppendFrame(b, agentproto.Input, p[:n]) }); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Resize implements terminal.Attachment.
func (a *attachment) Resize(size terminal.Size) error {
	return a.send(func(b []byte) []byte { return agentproto.AppendSize(b, agentproto.Resize, size.Cols, size.Rows) })
}

// Ack implements terminal.Attachment.
func (a *attachment) Ack(seq uint64) error {
	return a.send(func(b []byte) []byte { return agentproto.AppendSeqs(b, agentproto.Ack, seq) })
}

// send writes one frame. A frame that was written in part breaks the stream, so that every error closes it.
func (a *attachment) send(frame func([]byte) []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return fault.New(fault.Unavailable, "The terminal's connection is closed.")
	}
	a.out = frame(a.out[:0])
	err := a.conn.SetWriteDeadline(time.Now().Add(writeWait))
	if err == nil {
		_, err = a.conn.Write(a.out)
	}
	if err != nil {
		a.Close()
		return a.client.lost(context.Background(), err)
	}
	return nil
}

// Close implements terminal.Attachment. It wakes Next.
func (a *attachment) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	_ = a.conn.SetDeadline(time.Unix(1, 0)) // wakes a blocked read and write; the stream is given up in any case
	return a.conn.Close()
}
