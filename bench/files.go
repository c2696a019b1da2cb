package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/coder/websocket"
)

// watchProgram runs in the sandbox and prints a file's content as soon as it is another. That print is seen at the
// WebSocket, so that one clock takes both ends of the time; what the print itself needs is counted against us.
const watchProgram = `import time
last = ""
print("watching", flush=True)
while last != "end":
    try:
        with open("probe.txt") as f:
            now = f.read()
    except FileNotFoundError:
        now = ""
    if now != last:
        last = now
        print("<" + now + ">", flush=True)
    time.sleep(0.001)
`

// writeProgram runs in the sandbox and writes a file whenever it is told a name.
const writeProgram = `import sys
print("writing", flush=True)
for name in map(str.strip, sys.stdin):
    if name == "end":
        break
    with open(name, "w") as f:
        f.write(name)
`

// runProgram saves a program through the API and starts it in a new terminal.
func runProgram(ctx context.Context, c *client, ws, name, program, ready string) (*stream, error) {
	if err := c.save(ctx, ws, name, []byte(program)); err != nil {
		return nil, err
	}
	term, err := c.openTerminal(ctx, ws)
	if err != nil {
		return nil, err
	}
	s := newStream(term)
	if _, err := s.until(prompt); err != nil {
		return nil, err
	}
	// The save may reach the sandbox after the shell's prompt.
	if _, err := s.send("until [ -e " + name + " ]; do :; done; python3 " + name + "\r"); err != nil {
		return nil, err
	}
	_, err = s.until(ready + "\r\n")
	return s, err
}

// saves takes the time from saving a file through the API until a program in the sandbox has read it and printed that.
func saves(ctx context.Context, c *client, ws string, n int) ([]figure, error) {
	s, err := runProgram(ctx, c, ws, "watch.py", watchProgram, "watching")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var readable, acked samples
	for i := range n {
		token := fmt.Sprintf("token-%04d", i)
		began := time.Now()
		if err := c.save(ctx, ws, "probe.txt", []byte(token)); err != nil {
			return nil, err
		}
		acked = append(acked, time.Since(began))
		seen, err := s.until("<" + token + ">")
		if err != nil {
			return nil, err
		}
		readable = append(readable, seen.Sub(began))
	}
	if err := c.save(ctx, ws, "probe.txt", []byte("end")); err != nil {
		return nil, err
	}
	floor, err := fsyncs(n)
	if err != nil {
		return nil, err
	}
	const what = "replacing a local file with fsync"
	return []figure{
		{name: "save to acknowledged, p99", unit: "ms", value: acked.at(99), target: 50, floor: floor.at(99), what: what},
		{name: "save to readable in the sandbox, p50", unit: "ms", value: readable.at(50), target: 50, floor: floor.at(50), what: what},
		{name: "save to readable in the sandbox, p99", unit: "ms", value: readable.at(99), target: 50, floor: floor.at(99), what: what},
	}, nil
}

// sandboxWrites takes the time from telling a program in the sandbox to write a file until the event is at a WebSocket; the
// way of the telling is counted against us.
func sandboxWrites(ctx context.Context, c *client, ws string, n int) ([]figure, error) {
	s, err := runProgram(ctx, c, ws, "write.py", writeProgram, "writing")
	if err != nil {
		return nil, err
	}
	defer s.Close()
	events, err := c.dial(ctx, "/workspaces/"+ws+"/events")
	if err != nil {
		return nil, err
	}
	defer events.CloseNow()
	var times samples
	for i := range n {
		name := fmt.Sprintf("made-%04d.txt", i)
		began, err := s.send(name + "\r")
		if err != nil {
			return nil, err
		}
		if err := untilItem(ctx, events, name); err != nil {
			return nil, err
		}
		times = append(times, time.Since(began))
	}
	if _, err := s.send("end\r"); err != nil {
		return nil, err
	}
	floor, err := notifications(n)
	if err != nil {
		return nil, err
	}
	const what = "inotify on this machine"
	return []figure{
		{name: "written in the sandbox to event, p50", unit: "ms", value: times.at(50), target: 500, floor: floor.at(50), what: what},
		{name: "written in the sandbox to event, p99", unit: "ms", value: times.at(99), target: 500, floor: floor.at(99), what: what},
	}, nil
}

// untilItem reads events until one says that the item was made or changed.
func untilItem(ctx context.Context, events *websocket.Conn, path string) error {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for {
		_, message, err := events.Read(ctx)
		if err != nil {
			return fmt.Errorf("no event of %s: %w", path, err)
		}
		var event struct {
			Type string
			Item struct{ Path string }
		}
		if err := json.Unmarshal(message, &event); err != nil {
			return err
		}
		if event.Type == "item" && event.Item.Path == path {
			return nil
		}
	}
}
