package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// idleServer is the argument with which the bench starts itself as its own floor.
const idleServer = "serve-nothing"

// serveNothing is the least that a web server in Go is.
func serveNothing() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	fmt.Println(l.Addr())
	fatal(http.Serve(l, http.NotFoundHandler()))
}

// memory is the resident memory of the server with one workspace open: its terminal and its events. PostgreSQL and the
// sandbox are processes of their own and not in it.
func memory(ctx context.Context, c *client, ws string, pid int) ([]figure, error) {
	term, err := c.openTerminal(ctx, ws)
	if err != nil {
		return nil, err
	}
	s := newStream(term)
	defer s.Close()
	if _, err := s.until(prompt); err != nil {
		return nil, err
	}
	events, err := c.dial(ctx, "/workspaces/"+ws+"/events")
	if err != nil {
		return nil, err
	}
	defer events.CloseNow()
	if _, _, err := events.Read(ctx); err != nil {
		return nil, err
	}
	ours, err := residentMiB(pid)
	if err != nil {
		return nil, err
	}
	floor, err := idleMiB()
	if err != nil {
		return nil, err
	}
	return []figure{{name: "resident memory, one workspace open", unit: "MiB", value: ours, target: 80, floor: floor,
		what: "a web server in Go that serves nothing"}}, nil
}

func residentMiB(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no resident memory", pid)
}

func idleMiB() (float64, error) {
	cmd := exec.Command("/proc/self/exe", idleServer)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return 0, err
	}
	return residentMiB(cmd.Process.Pid)
}
