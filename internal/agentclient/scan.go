package agentclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

const (
	maxProblem = 200
	// maxTarget is Linux's bound of a link's target, in bytes.
	maxTarget = 4095
	// bytesPerEntry bounds a whole scan together with MaxEntries: what is usual, many times over.
	bytesPerEntry = 1024
)

// Scan implements workspace.Replica.
func (c *Client) Scan(ctx context.Context, paths []string) ([]workspace.Entry, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	for _, p := range paths {
		if err := workspace.ValidatePath(p); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(agentproto.ScanRequest{Paths: paths, Ignore: c.opts.Ignore, MaxFile: c.opts.MaxFile, MaxEntries: c.opts.MaxEntries})
	if err != nil {
		return nil, err
	}
	response, err := c.do(ctx, request{method: http.MethodPost, path: "/v1/files/scan", body: bytes.NewReader(body), length: int64(len(body))})
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	entries, err := c.entries(response.Body)
	if err == nil {
		entries, err = listing(entries, paths)
	}
	if err != nil {
		if _, ok := errors.AsType[*fault.Error](err); ok {
			return nil, err
		}
		return nil, c.broken(ctx, err)
	}
	return entries, nil
}

// entries reads the lines of a scan up to the completing one, without which there is no answer.
func (c *Client) entries(r io.Reader) ([]workspace.Entry, error) {
	budget := int64(c.opts.MaxEntries)*bytesPerEntry + maxAnswer
	lines := lineReader(io.LimitReader(r, budget))
	var entries []workspace.Entry
	for lines.Scan() {
		if !utf8.Valid(lines.Bytes()) {
			return nil, errors.New("a line that is not UTF-8")
		}
		var line agentproto.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, err
		}
		switch {
		case line.Error != nil:
			return nil, refused(*line.Error)
		case line.Complete && line.Count != len(entries):
			return nil, fmt.Errorf("a scan of %d entries that says it has %d", len(entries), line.Count)
		case line.Complete:
			return entries, nil
		case len(entries) >= c.opts.MaxEntries:
			return nil, fault.New(fault.Exhausted, "The sandbox has more than %d files and folders; they cannot be saved.", c.opts.MaxEntries)
		}
		entry, err := c.entry(line)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("a scan that was cut short after %d entries: %w", len(entries), io.ErrUnexpectedEOF)
}

func lineReader(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), agentproto.MaxLine)
	return lines
}

var kinds = map[string]workspace.Kind{agentproto.File: workspace.File, agentproto.Folder: workspace.Folder, agentproto.Link: workspace.Link}

// entry checks one entry by itself. What the workspace cannot store becomes a problem; what no sound agent says is an error.
func (c *Client) entry(line agentproto.Line) (workspace.Entry, error) {
	kind, known := kinds[line.Kind]
	e := workspace.Entry{Path: line.Path, Kind: kind, Executable: line.Executable, Size: line.Size, Target: line.Target,
		Problem: plain(line.Problem, maxProblem)}
	if len(line.RawPath) > 0 {
		// With the replacement character in it, it is no valid path and cannot be mistaken for one.
		e.Path = strings.ToValidUTF8(string(line.RawPath), "\uFFFD")
	}
	switch {
	case line.Size < 0:
		return e, errors.New("an entry of a negative size")
	case (line.Problem != "" || len(line.RawPath) > 0) && e.Problem == "":
		e.Problem = "it cannot be stored"
	case !known && line.Problem == "":
		return e, errors.New("an entry of an unknown kind")
	}
	if e.Path == "" {
		return e, errors.New("an entry without a path")
	}
	if e.Problem != "" {
		return e, nil
	}
	if err := workspace.ValidatePath(e.Path); err != nil {
		e.Problem = plain(err.Error(), maxProblem)
		return e, nil
	}
	switch kind {
	case workspace.File:
		var ok bool
		if e.Sum, ok = agentproto.ParseSum(line.Sum); !ok {
			return e, errors.New("a file without a sum")
		}
		if e.Size > c.opts.MaxFile {
			e.Problem = "it is larger than the limit"
		}
		e.Target = ""
	case workspace.Link:
		if e.Target == "" || len(e.Target) > maxTarget || strings.ContainsRune(e.Target, 0) {
			e.Problem = "its target cannot be stored"
		}
		e.Size, e.Executable = 0, false
	case workspace.Folder:
		e.Size, e.Executable, e.Target = 0, false, ""
	}
	return e, nil
}

// listing sorts the entries and checks that they are a tree within the scope: each path once, and in a folder that is
// listed too unless the scope begins with it.
func listing(entries []workspace.Entry, paths []string) ([]workspace.Entry, error) {
	slices.SortStableFunc(entries, func(a, b workspace.Entry) int { return strings.Compare(a.Path, b.Path) })
	seen := make(map[string]workspace.Kind, len(entries))
	out := make([]workspace.Entry, 0, len(entries))
	for i, e := range entries {
		if workspace.Ignored(e.Path) {
			continue
		}
		if i > 0 && len(out) > 0 && out[len(out)-1].Path == e.Path {
			// Two names that are shown the same way are one problem; anything else is a lie.
			if last := &out[len(out)-1]; last.Problem != "" && e.Problem != "" {
				continue
			}
			return nil, errors.New("a path that is listed twice")
		}
		seen[e.Path] = e.Kind
		out = append(out, e)
	}
	scope := make(map[string]bool, len(paths))
	for _, p := range paths {
		scope[p] = true
	}
	for _, e := range out {
		if !within(e.Path, paths, scope) {
			return nil, errors.New("an entry that nobody asked for")
		}
		if e.Problem != "" && workspace.ValidatePath(e.Path) != nil {
			continue // shown, and never used as a path
		}
		if up := path.Dir(e.Path); up != "." && !scope[e.Path] && seen[up] != workspace.Folder {
			return nil, errors.New("an entry in something that is not a folder")
		}
	}
	return out, nil
}

// within reports whether p is in the scope: everything when paths is nil.
func within(p string, paths []string, scope map[string]bool) bool {
	if paths == nil {
		return true
	}
	for {
		if scope[p] {
			return true
		}
		at := strings.LastIndexByte(p, '/')
		if at < 0 {
			return false
		}
		p = p[:at]
	}
}
