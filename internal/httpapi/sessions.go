package httpapi

import (
	"context"

	"vivarium/internal/session"
	"vivarium/internal/terminal"
)

type sessionViewOutput struct{ Body SessionView }

type sessionOutput struct{ Body Session }

func (a *API) registerSessions() {
	const tag = "Sessions"
	register(a, route{method: "GET", path: "/workspaces/{id}/session", id: "getSession", tag: tag, errors: []int{404},
		summary: "The live session, else the last one, with its terminals"}, a.viewSession)
	register(a, route{method: "POST", path: "/workspaces/{id}/session", id: "startSession", tag: tag, timeout: patient, errors: []int{404, 504},
		summary: "Start a session if there is none, and wait until it runs"}, a.startSession)
	register(a, route{method: "DELETE", path: "/workspaces/{id}/session", id: "endSession", tag: tag, timeout: patient, errors: []int{404, 504},
		summary: "Store the session's files and end it"}, a.endSession)
	register(a, route{method: "POST", path: "/workspaces/{id}/session/restart", id: "restartSession", tag: tag, timeout: 2 * patient,
		errors: []int{404, 504}, summary: "End the session and start a new one"}, a.restartSession)
}

func (a *API) viewSession(ctx context.Context, in *WorkspaceID) (*sessionViewOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	view, err := a.cfg.Views.View(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &sessionViewOutput{SessionView{Session: shownSession(view), Terminals: terminalsOf(view.Terminals),
		NotSaved: notSavedOf(view.NotSaved), Conflicts: conflictsOf(view.Conflicts), Usage: usageOf(view.Usage), Notices: noticesOf(view.Notices)}}, nil
}

func (a *API) startSession(ctx context.Context, in *WorkspaceID) (*sessionOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	s, err := a.cfg.Sessions.Start(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{*sessionOf(&s)}, nil
}

func (a *API) endSession(ctx context.Context, in *WorkspaceID) (*struct{}, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	p := principalOf(ctx)
	return nil, a.cfg.Sessions.End(ctx, p, id, "Ended by "+p.Username+".")
}

func (a *API) restartSession(ctx context.Context, in *WorkspaceID) (*sessionOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	s, err := a.cfg.Sessions.Restart(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &sessionOutput{*sessionOf(&s)}, nil
}

func sessionOf(s *session.Session) *Session {
	if s == nil {
		return nil
	}
	return &Session{ID: s.ID.String(), State: string(s.State), Reason: s.Reason, CreatedAt: s.CreatedAt, EndedAt: s.EndedAt}
}

// shownSession is the view's session, with when it will end.
func shownSession(view session.View) *Session {
	out := sessionOf(view.Session)
	if out != nil {
		out.EndsAt = view.EndsAt
	}
	return out
}

func usageOf(u *session.Usage) *Usage {
	if u == nil {
		return nil
	}
	out := Usage(*u)
	return &out
}

func noticesOf(list []session.Notice) []Notice {
	out := make([]Notice, len(list))
	for i, n := range list {
		out[i] = Notice(n)
	}
	return out
}

func terminalsOf(list []terminal.State) []Terminal {
	out := make([]Terminal, len(list))
	for i, t := range list {
		out[i] = terminalOf(t)
	}
	return out
}

func terminalOf(t terminal.State) Terminal {
	out := Terminal{ID: t.ID, Kind: string(t.Kind), Title: t.Title, Cols: t.Size.Cols, Rows: t.Size.Rows, StartedAt: t.Started}
	if t.Exit != nil {
		out.Exit = &Exit{Code: t.Exit.Code, Signal: t.Exit.Signal, At: t.Exit.At}
	}
	return out
}

func notSavedOf(list []session.NotSaved) []NotSaved {
	out := make([]NotSaved, len(list))
	for i, n := range list {
		out[i] = NotSaved(n)
	}
	return out
}

func conflictsOf(list []session.Conflict) []Conflict {
	out := make([]Conflict, len(list))
	for i, c := range list {
		out[i] = Conflict(c)
	}
	return out
}
