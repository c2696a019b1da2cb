package agentclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/terminal"
)

const (
	maxTitle  = 200
	maxSignal = 20
)

// OpenTerminal starts a process in a new terminal.
func (c *Client) OpenTerminal(ctx context.Context, o terminal.Options) (terminal.State, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return terminal.State{}, err
	}
	var state terminal.State
	q := request{method: http.MethodPost, path: "/v1/terminals", body: bytes.NewReader(body), length: int64(len(body))}
	if err := c.ask(ctx, q, &state); err != nil {
		return terminal.State{}, err
	}
	if state.ID != o.ID {
		return terminal.State{}, c.broken(ctx, fmt.Errorf("another terminal than the one asked for"))
	}
	if err := check(&state); err != nil {
		return terminal.State{}, c.broken(ctx, err)
	}
	return state, nil
}

// Terminals lists the terminals of the sandbox, the ended ones included.
func (c *Client) Terminals(ctx context.Context) ([]terminal.State, error) {
	var list []terminal.State
	if err := c.ask(ctx, request{method: http.MethodGet, path: "/v1/terminals"}, &list); err != nil {
		return nil, err
	}
	if len(list) > agentproto.MaxTerminals {
		return nil, c.broken(ctx, fmt.Errorf("%d terminals", len(list)))
	}
	seen := map[string]bool{}
	for i := range list {
		if err := check(&list[i]); err != nil {
			return nil, c.broken(ctx, err)
		}
		if seen[list[i].ID] {
			return nil, c.broken(ctx, fmt.Errorf("a terminal that is listed twice"))
		}
		seen[list[i].ID] = true
	}
	return list, nil
}

// CloseTerminal ends a terminal's processes and forgets it.
func (c *Client) CloseTerminal(ctx context.Context, id string) error {
	path, err := terminalPath(id)
	if err != nil {
		return err
	}
	return c.ask(ctx, request{method: http.MethodDelete, path: path}, nil)
}

func terminalPath(id string) (string, error) {
	if !validID(id) {
		return "", fault.New(fault.NotFound, "No such terminal.")
	}
	return "/v1/terminals/" + url.PathEscape(id), nil
}

func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' {
			return false
		}
	}
	return true
}

// check bounds a state to what the server's pages can show.
func check(s *terminal.State) error {
	if !validID(s.ID) {
		return fmt.Errorf("a terminal with a malformed id")
	}
	if s.Kind != terminal.Shell && s.Kind != terminal.Run {
		return fmt.Errorf("a terminal of an unknown kind")
	}
	s.Title = plain(s.Title, maxTitle)
	s.Size = s.Size.Clamp()
	if s.Exit != nil {
		s.Exit.Signal = plain(s.Exit.Signal, maxSignal)
	}
	return nil
}
