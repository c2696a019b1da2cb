package agentclient

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"vivarium/internal/agentproto"
	"vivarium/internal/workspace"
)

// An agent tells of changes every 20 ms at most. One that sends faster is read no faster than this, and waits.
const (
	watchLines = 100
	watchSpan  = time.Second
)

// Watch implements workspace.Replica. It returns the context's error, or Unavailable when the connection is lost.
func (c *Client) Watch(ctx context.Context, changed func(paths []string)) error {
	response, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/files/watch", query: url.Values{"ignore": c.opts.Ignore}})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := lineReader(response.Body)
	span, n := time.Now(), 0
	for first := true; lines.Scan(); first = false {
		if n++; n > watchLines {
			if !pause(ctx, watchSpan-time.Since(span)) {
				return ctx.Err()
			}
			span, n = time.Now(), 1
		} else if time.Since(span) > watchSpan {
			span, n = time.Now(), 1
		}
		var line agentproto.Changes
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || !utf8.Valid(lines.Bytes()) {
			return c.broken(ctx, errors.Join(errors.New("a line of a watch that cannot be read"), err))
		}
		if first && !line.All {
			return c.broken(ctx, errors.New("a watch that does not say that it has begun"))
		}
		if paths := hints(line); line.All || paths == nil {
			changed(nil)
		} else if len(paths) > 0 {
			changed(paths)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := lines.Err(); err != nil {
		return c.lost(ctx, err)
	}
	return c.lost(ctx, io.ErrUnexpectedEOF)
}

// hints returns the paths to look at, or nil for anywhere. A path that is no valid one cannot be asked about; the nearest
// folder that is valid has it. Ignored ones are left out.
func hints(line agentproto.Changes) []string {
	if len(line.Paths) > agentproto.MaxWatchPaths {
		return nil
	}
	out := make([]string, 0, len(line.Paths))
	for _, p := range line.Paths {
		if workspace.Ignored(p) {
			continue
		}
		for workspace.ValidatePath(p) != nil {
			at := strings.LastIndexByte(p, '/')
			if at < 0 {
				return nil
			}
			p = p[:at]
		}
		out = append(out, p)
	}
	return out
}

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
