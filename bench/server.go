package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"time"
)

// server is a Vivarium server with a data folder of its own, both gone after stop.
type server struct {
	cmd   *exec.Cmd
	url   string
	token string // the one-time token of the first account
	dir   string
	ended chan error
}

var setupLink = regexp.MustCompile(`(https?://[^/\s"]+)/setup[?#]token=([A-Za-z0-9_-]+)`)

func startServer(ctx context.Context, binary string) (*server, error) {
	dir, err := os.MkdirTemp("", "vivarium-bench-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL runs as a user of its own, who must pass through
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, ended: make(chan error, 1)}
	s.cmd = exec.Command(binary, "serve", "--data-dir", dir, "--listen", listen)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches us first; we stop it in order
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	found := make(chan []string, 1)
	go func() {
		var log []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			log = append(log, lines.Text())
			if m := setupLink.FindStringSubmatch(lines.Text()); m != nil {
				found <- m
				_, _ = io.Copy(io.Discard, out)
				log = nil
				break
			}
		}
		err := s.cmd.Wait()
		if log != nil {
			err = errors.Join(err, fmt.Errorf("the server said: %q", log))
		}
		s.ended <- err
	}()
	select {
	case m := <-found:
		s.url, s.token = m[1], m[2]
	case err := <-s.ended:
		return nil, fmt.Errorf("the server ended before it printed its link: %w", err)
	case <-time.After(2 * deadline):
		return nil, errors.Join(fmt.Errorf("the server printed no link within %v", 2*deadline), s.stop())
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.stop())
	}
	return s, s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	end := time.Now().Add(deadline)
	for time.Now().Before(end) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the server was not ready within %v", deadline)
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the server in order and deletes its data.
func (s *server) stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(deadline):
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("the server did not stop within %v; its data stays in %s", deadline, s.dir)
	}
	if out, err := exec.Command("bash", "scripts/wipe.sh", s.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/wipe.sh: %w: %s", err, out)
	}
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
