package cluster

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	pruneEvery = 10 * time.Minute
	keptLogs   = 5 // files, each up to log_rotation_size
)

// supervise starts the postmaster again when it dies, for as long as it takes, until ctx ends.
func (c *Cluster) supervise(ctx context.Context) {
	for ctx.Err() == nil {
		p := c.current()
		until, cancel := context.WithTimeout(ctx, pruneEvery)
		died, err := p.wait(until)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			c.cfg.Log.Error("cannot watch the private database", "err", err)
			if !pause(ctx, time.Second) {
				return
			}
		case !died:
			c.pruneLogs()
		default:
			c.cfg.Log.Error("the private database died; it is started again")
			p.discard()
			c.mu.Lock()
			c.process = nil
			c.mu.Unlock()
			c.revive(ctx)
		}
	}
}

func (c *Cluster) revive(ctx context.Context) {
	wait := 100 * time.Millisecond
	for {
		err := c.up(ctx)
		if err == nil {
			c.cfg.Log.Info("the private database is back")
			return
		}
		if ctx.Err() != nil {
			return
		}
		c.cfg.Log.Error("the private database does not start; it is tried again", "err", err, "in", wait)
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// pause waits for d and reports whether the context is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// logFiles returns PostgreSQL's log files, the oldest first.
func (c *Cluster) logFiles() []string {
	names, err := filepath.Glob(filepath.Join(c.logDir(), "postgres-*.log"))
	if err != nil {
		return nil // only a bad pattern
	}
	slices.Sort(names)
	return names
}

// pruneLogs removes all but the newest log files: PostgreSQL begins new ones and never removes any.
func (c *Cluster) pruneLogs() {
	names := c.logFiles()
	for len(names) > keptLogs {
		if err := os.Remove(names[0]); err != nil {
			c.cfg.Log.Warn("cannot remove an old log of the private database", "err", err)
		}
		names = names[1:]
	}
}

// lastLines returns the last lines of a text, in one line.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, " ")
}
