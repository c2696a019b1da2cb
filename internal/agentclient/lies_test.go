package agentclient

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/terminal"
)

var sum = hex.EncodeToString(make([]byte, 32))

func file(path string) agentproto.Line {
	return agentproto.Line{Path: path, Kind: agentproto.File, Size: 1, Sum: sum}
}

func complete(n int) agentproto.Line { return agentproto.Line{Complete: true, Count: n} }

func TestP2_AListingThatIsNoneIsRefused(t *testing.T) {
	folder := agentproto.Line{Path: "a", Kind: agentproto.Folder}
	for name, lines := range map[string][]any{
		"it is empty":                            {},
		"it is cut short":                        {file("x"), file("y")},
		"its count is wrong":                     {file("x"), complete(2)},
		"a path is listed twice":                 {file("x"), file("x"), complete(2)},
		"a path is a file and a folder":          {file("a"), folder, complete(2)},
		"a file is in a file":                    {file("a"), file("a/b"), complete(2)},
		"a file is in a folder that is not told": {file("a/b"), complete(1)},
		"a kind is unknown":                      {agentproto.Line{Path: "x", Kind: "device"}, complete(1)},
		"a path is empty":                        {file(""), complete(1)},
		"a size is negative":                     {agentproto.Line{Path: "x", Kind: agentproto.File, Size: -1, Sum: sum}, complete(1)},
		"a size is no whole number":              {`{"path":"x","kind":"file","size":1.5,"sum":"` + sum + `"}`, complete(1)},
		"a size is too large for a number":       {`{"path":"x","kind":"file","size":99999999999999999999}`, complete(1)},
		"a sum is missing":                       {agentproto.Line{Path: "x", Kind: agentproto.File}, complete(1)},
		"a line is no JSON":                      {"{", complete(0)},
		"a line is nested deeply":                {strings.Repeat(`{"a":`, 10_000), complete(0)},
		"a line is too long":                     {strings.Repeat(" ", agentproto.MaxLine+1), complete(0)},
		"a line is not UTF-8":                    {"{\"path\":\"\xff\"}", complete(0)},
		"it says that it failed":                 {file("x"), agentproto.Line{Error: &agentproto.Error{Kind: "internal", Message: "disk"}}},
	} {
		t.Run(name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.lines("POST /v1/files/scan", lines...)
			entries, err := c.Scan(within10s(t), nil)
			if err == nil || entries != nil {
				t.Fatalf("want an error and no entries, got %v, %v", entries, err)
			}
			if kind := fault.KindOf(err); kind != fault.Unavailable {
				t.Fatalf("want Unavailable, got %v: %v", kind, err)
			}
		})
	}
}

func TestP2_WhatCannotBeStoredIsAProblemAndNothingElse(t *testing.T) {
	for name, line := range map[string]agentproto.Line{
		"a path that leads out":        file("../../x"),
		"an absolute path":             file("/etc/passwd"),
		"a path with NUL":              file("a\x00b"),
		"a path with an empty part":    file("a//b"),
		"a path with a line break":     file("a\nb"),
		"a path that turns text":       file("a\u202eb"),
		"a name that is too long":      file(strings.Repeat("x", 256)),
		"a path that is not UTF-8":     {RawPath: []byte("a\xff"), Kind: agentproto.File, Problem: "no"},
		"a raw path that says nothing": {RawPath: []byte("ok"), Kind: agentproto.File, Sum: sum},
		"a file beyond the limit":      {Path: "x", Kind: agentproto.File, Size: 1 << 62, Sum: sum},
		"a link to nothing":            {Path: "x", Kind: agentproto.Link},
		"a link with NUL":              {Path: "x", Kind: agentproto.Link, Target: "a\x00"},
		"a problem":                    {Path: "x", Kind: agentproto.Other, Problem: "it is a named pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.lines("POST /v1/files/scan", line, complete(1))
			entries, err := c.Scan(within10s(t), nil)
			if err != nil || len(entries) != 1 || entries[0].Problem == "" {
				t.Fatalf("want one entry with a problem, got %+v, %v", entries, err)
			}
		})
	}
}

func TestP2_AnAnswerBeyondTheScopeIsRefused(t *testing.T) {
	c, l := lie(t, Options{})
	l.lines("POST /v1/files/scan", file("other"), complete(1))
	if entries, err := c.Scan(within10s(t), []string{"asked"}); err == nil {
		t.Fatalf("got %v", entries)
	}
}

func TestP2_AFloodOfEntriesIsBounded(t *testing.T) {
	c, l := lie(t, Options{MaxEntries: 1000})
	l.HandleFunc("POST /v1/files/scan", func(w http.ResponseWriter, r *http.Request) {
		for i := 0; r.Context().Err() == nil && i < 1_000_000; i++ {
			if _, err := fmt.Fprintf(w, `{"path":"f%d","kind":"file","sum":"%s"}`+"\n", i, sum); err != nil {
				return
			}
		}
	})
	if _, err := c.Scan(within10s(t), nil); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("want Exhausted, got %v", err)
	}
}

func TestP2_ContentThatIsNotWhatItSaysIsRefused(t *testing.T) {
	content := []byte("content")
	right := sha256.Sum256(content)
	for _, row := range []struct {
		name   string
		length string
		sum    string
		send   []byte
		want   fault.Kind
	}{
		{"it is as it says", "7", hex.EncodeToString(right[:]), content, -1},
		{"it is shorter", "8", hex.EncodeToString(right[:]), content, fault.Conflict},
		{"its sum is another", "7", sum, content, fault.Unavailable},
		{"it has no sum", "7", "", content, fault.Unavailable},
		{"it has no length", "", hex.EncodeToString(right[:]), content, fault.Unavailable},
		{"it is larger than the limit", "101", hex.EncodeToString(right[:]), content, fault.TooLarge},
		{"its length is a lie of a tebibyte", "1099511627776", hex.EncodeToString(right[:]), content, fault.TooLarge},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.HandleFunc("GET /v1/files/content", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(agentproto.SumHeader, row.sum)
				if row.length != "" {
					w.Header().Set("Content-Length", row.length)
				} else {
					http.NewResponseController(w).Flush()
				}
				w.Write(row.send)
			})
			got, err := c.Read(within10s(t), "file", 100)
			if row.want == -1 {
				if err != nil || !bytes.Equal(got, content) {
					t.Fatalf("%q, %v", got, err)
				}
			} else if !fault.Is(err, row.want) || got != nil {
				t.Fatalf("want %v, got %q, %v", row.want, got, err)
			}
		})
	}
}

func TestP2_AnotherProtocolOrKernelIsRefused(t *testing.T) {
	for name, hello := range map[string]string{
		"another protocol":     `{"protocol":2,"kernel":"Linux version 4.19.0-gvisor"}`,
		"the kernel of a host": `{"protocol":1,"kernel":"Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)"}`,
		"no kernel":            `{"protocol":1}`,
		"no JSON":              `<html>`,
		"a long answer":        `{"protocol":1,"kernel":"gVisor` + strings.Repeat("x", maxAnswer) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newPair(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, hello) })
			c, err := Connect(within10s(t), b, Options{Isolation: "gvisor"})
			if !fault.Is(err, fault.Unavailable) {
				t.Fatalf("want Unavailable, got %v, %v", c, err)
			}
			if _, err := b.Write([]byte("x")); err == nil {
				t.Fatal("the stream was left open")
			}
		})
	}
}

func TestP2_TerminalsThatAreNoneAreRefused(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{"id":"a","kind":"shell"},`, 17), ",")
	for name, body := range map[string]string{
		"an id leads elsewhere": `[{"id":"../x","kind":"shell"}]`,
		"an id comes twice":     `[{"id":"a","kind":"shell"},{"id":"a","kind":"shell"}]`,
		"there are too many":    `[` + many + `]`,
		"a kind is unknown":     `[{"id":"a","kind":"root"}]`,
		"a size is no size":     `[{"id":"a","kind":"shell","size":{"cols":-1}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.HandleFunc("GET /v1/terminals", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
			if list, err := c.Terminals(within10s(t)); !fault.Is(err, fault.Unavailable) {
				t.Fatalf("want Unavailable, got %v, %v", list, err)
			}
		})
	}
	c, l := lie(t, Options{})
	l.HandleFunc("POST /v1/terminals", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"id":"other","kind":"shell"}`)
	})
	if state, err := c.OpenTerminal(within10s(t), terminal.Options{ID: "mine"}); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("want another terminal refused, got %+v, %v", state, err)
	}
	l.HandleFunc("GET /v1/terminals", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `[{"id":"a","kind":"shell","title":"x\u001b]52;c;\u0007\u202ey","size":{"cols":0,"rows":65535}}]`)
	})
	list, err := c.Terminals(within10s(t))
	if err != nil || list[0].Title != "x ]52;c;  y" || list[0].Size != (terminal.Size{Cols: 1, Rows: terminal.MaxRows}) {
		t.Fatalf("want a plain title and a size within bounds, got %+v, %v", list, err)
	}
}

func TestP1_AnAttachmentChecksWhatFollowsOnWhat(t *testing.T) {
	output := func(seq uint64, text string) []byte {
		b := make([]byte, agentproto.HeaderSize+agentproto.SeqSize, 100)
		agentproto.PutOutputHeader(b, seq, len(text))
		return append(b, text...)
	}
	for _, row := range []struct {
		name   string
		frames [][]byte
		good   int // events before the error
		eof    bool
	}{
		{"output in order", [][]byte{output(5, "ab"), output(7, "c"), agentproto.AppendFrame(nil, agentproto.Exit, []byte(`{"code":0}`))}, 3, true},
		{"a gap", [][]byte{output(5, "ab"), output(8, "c")}, 1, false},
		{"a repetition", [][]byte{output(5, "ab"), output(5, "ab")}, 1, false},
		{"output from before", [][]byte{output(4, "ab")}, 0, false},
		{"what was dropped", [][]byte{agentproto.AppendSeqs(nil, agentproto.Dropped, 5, 9), output(9, "c")}, 2, true},
		{"dropping backwards", [][]byte{agentproto.AppendSeqs(nil, agentproto.Dropped, 5, 4)}, 0, false},
		{"dropping from elsewhere", [][]byte{agentproto.AppendSeqs(nil, agentproto.Dropped, 6, 9)}, 0, false},
		{"a frame of the server's", [][]byte{agentproto.AppendFrame(nil, agentproto.Input, []byte("x"))}, 0, false},
		{"an unknown type", [][]byte{{0xff, 0, 0, 0, 0}}, 0, false},
		{"a length of 2 GiB", [][]byte{{byte(agentproto.Output), 0x80, 0, 0, 0}}, 0, false},
		{"an exit that is no JSON", [][]byte{agentproto.AppendFrame(nil, agentproto.Exit, []byte(`{{`))}, 0, false},
		{"a size beyond bounds", [][]byte{agentproto.AppendSize(nil, agentproto.Size, 0, 65535)}, 1, true},
		{"a frame that is cut", [][]byte{output(5, "abc")[:10]}, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, l := lie(t, Options{})
			l.HandleFunc("POST /v1/terminals/t/attach", func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\n%s: 5\r\n\r\n", agentproto.Upgrade, agentproto.SeqHeader)
				for _, frame := range row.frames {
					conn.Write(frame)
				}
			})
			a, err := c.Attach(within10s(t), "t", terminal.AttachOptions{From: 5})
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			for range row.good {
				if _, err := a.Next(); err != nil {
					t.Fatal(err)
				}
			}
			event, err := a.Next()
			if err == nil || (err == io.EOF) != row.eof {
				t.Fatalf("want an error (the end: %v), got %+v, %v", row.eof, event, err)
			}
		})
	}
}

func TestP1_AFrameCostsNoMoreThanItCarries(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		r := agentproto.NewReader(bytes.NewReader([]byte{byte(agentproto.Output), 0x7f, 0xff, 0xff, 0xff}))
		if _, _, err := r.Next(); err == nil {
			t.Fatal("want an error")
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
		t.Fatalf("a thousand headers cost %d bytes", grown)
	}
}
