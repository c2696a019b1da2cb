package agent

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"vivarium/internal/agentproto"
	"vivarium/internal/terminal"
)

// attach turns a request's stream into a viewer of a terminal, until either side closes it.
func (a *Agent) attach(w http.ResponseWriter, r *http.Request) error {
	p, err := a.terminals.get(r.PathValue("id"))
	if err != nil {
		return err
	}
	if !strings.EqualFold(r.Header.Get("Upgrade"), agentproto.Upgrade) {
		return agentproto.Refuse(agentproto.Invalid, "an attachment needs Upgrade: %s", agentproto.Upgrade)
	}
	query := r.URL.Query()
	from, err := strconv.ParseUint(query.Get("from"), 10, 64)
	if err != nil {
		return agentproto.Refuse(agentproto.Invalid, "from must be a sequence number")
	}
	options := terminal.AttachOptions{From: from, Write: query.Get("write") == "1",
		Size: terminal.Size{Cols: cells(query.Get("cols")), Rows: cells(query.Get("rows"))}}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil // the stream is gone and nobody is left to tell
	}
	viewer := p.stream.Attach(options)
	defer viewer.Close()
	if _, err := fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %d\r\n\r\n",
		agentproto.Upgrade, agentproto.SeqHeader, viewer.Start()); err != nil {
		return nil
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(conn, viewer)
		conn.Close()
	}()
	p.receive(buffered.Reader, viewer, options.Write)
	viewer.Close()
	conn.Close()
	<-sent
	return nil
}

func cells(s string) uint16 {
	n, _ := strconv.ParseUint(s, 10, 16) // 0, a viewer without a say, for what is no size
	return uint16(n)
}

// send writes a viewer's events until it is closed or the stream is lost.
func send(conn net.Conn, viewer *terminal.Viewer) {
	const front = agentproto.HeaderSize + agentproto.SeqSize
	buf := make([]byte, front+terminal.MaxFrame)
	for {
		event, err := viewer.Next(buf[front:])
		if err != nil {
			return
		}
		frame := buf[:front]
		switch {
		case event.Data != nil:
			agentproto.PutOutputHeader(buf, event.Seq, len(event.Data))
			frame = buf[:front+len(event.Data)]
		case event.Dropped > 0:
			frame = agentproto.AppendSeqs(frame[:0], agentproto.Dropped, event.Seq-event.Dropped, event.Seq)
		case event.Size != nil:
			frame = agentproto.AppendSize(frame[:0], agentproto.Size, event.Size.Cols, event.Size.Rows)
		case event.Exit != nil:
			text, err := json.Marshal(event.Exit)
			if err != nil {
				return
			}
			frame = agentproto.AppendFrame(frame[:0], agentproto.Exit, text)
		}
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

// receive takes a viewer's frames until the stream ends or breaks the protocol.
func (p *pty) receive(r *bufio.Reader, viewer *terminal.Viewer, write bool) {
	frames := agentproto.NewReader(r)
	for {
		kind, payload, err := frames.Next()
		if err != nil {
			return
		}
		switch kind {
		case agentproto.Input:
			if !write || p.input.put(payload, 0) {
				break
			}
			viewer.Exempt(true)
			if !p.input.put(payload, inputPatience) {
				return
			}
			viewer.Exempt(false)
		case agentproto.Resize:
			cols, rows := agentproto.ParseSize(payload)
			viewer.Resize(terminal.Size{Cols: cols, Rows: rows})
		case agentproto.Ack:
			viewer.Ack(agentproto.ParseSeq(payload))
		default:
			return
		}
	}
}
