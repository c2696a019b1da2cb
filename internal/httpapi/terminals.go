package httpapi

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"vivarium/internal/terminal"
)

type newTerminalInput struct {
	WorkspaceID
	Body NewTerminal
}

type newRunInput struct {
	WorkspaceID
	Body NewRun
}

type terminalInput struct {
	WorkspaceID
	Terminal string `path:"tid" doc:"The terminal's id."`
}

type terminalOutput struct{ Body Terminal }

const terminalsTag = "Terminals"

func (a *API) registerTerminals() {
	const tag = terminalsTag
	register(a, route{method: "POST", path: "/workspaces/{id}/terminals", id: "openTerminal", tag: tag, status: 201, timeout: patient,
		errors: []int{404, 422, 504}, summary: "Open a shell; starts a session if there is none"}, a.openTerminal)
	register(a, route{method: "POST", path: "/workspaces/{id}/run", id: "runFile", tag: tag, status: 201, timeout: patient,
		errors: []int{404, 422, 504}, summary: "Run a Python file in a terminal of its own; starts a session if there is none"}, a.runFile)
	register(a, route{method: "DELETE", path: "/workspaces/{id}/terminals/{tid}", id: "closeTerminal", tag: tag, timeout: steady,
		errors: []int{404, 504}, summary: "End a terminal and its processes"}, a.closeTerminal)

	rt := route{method: "GET", path: "/workspaces/{id}/terminals/{tid}", id: "attachTerminal", tag: tag, timeout: unbounded,
		errors: []int{404, 422, 426}, summary: "Attach to a terminal (WebSocket)", deniedAction: "terminal.attach"}
	number := func(name, doc string) *huma.Param {
		return &huma.Param{Name: name, In: "query", Description: doc, Schema: &huma.Schema{Type: "integer"}}
	}
	op := a.describeSocket(rt, "docs/protocol.md describes the messages.",
		number("from", "Sequence number of the first byte wanted; 0 when absent."),
		number("cols", "The viewer's size; absent: it has no say in the terminal's."), number("rows", ""))
	a.registerRaw(rt, rt.path, op, a.attachTerminal)
}

func (a *API) openTerminal(ctx context.Context, in *newTerminalInput) (*terminalOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	t, err := a.cfg.Terminals.OpenTerminal(ctx, principalOf(ctx), id, newSize(in.Body.Cols, in.Body.Rows))
	if err != nil {
		return nil, err
	}
	return &terminalOutput{terminalOf(t)}, nil
}

func (a *API) runFile(ctx context.Context, in *newRunInput) (*terminalOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	t, err := a.cfg.Terminals.Run(ctx, principalOf(ctx), id, in.Body.Path, newSize(in.Body.Cols, in.Body.Rows))
	if err != nil {
		return nil, err
	}
	return &terminalOutput{terminalOf(t)}, nil
}

func (a *API) closeTerminal(ctx context.Context, in *terminalInput) (*struct{}, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	tid, err := parseID(in.Terminal, "terminal")
	if err != nil {
		return nil, err
	}
	return nil, a.cfg.Terminals.CloseTerminal(ctx, principalOf(ctx), id, tid.String())
}

// newSize is the size of a terminal to open: the usual one where none is asked for, clamped otherwise.
func newSize(cols, rows int) terminal.Size {
	if cols == 0 {
		cols = 80
	}
	if rows == 0 {
		rows = 24
	}
	return clampSize(float64(cols), float64(rows))
}

// clampSize takes floats, because that is what a number in a client's JSON may be.
func clampSize(cols, rows float64) terminal.Size {
	return terminal.Size{
		Cols: uint16(min(max(cols, 1), terminal.MaxCols)),
		Rows: uint16(min(max(rows, 1), terminal.MaxRows)),
	}
}
