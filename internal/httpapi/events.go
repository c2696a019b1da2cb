package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/session"
	"vivarium/internal/workspace"
)

// The messages of the events socket, described in docs/protocol.md.
type (
	helloEvent struct {
		Type      string     `json:"type" enum:"hello"`
		Session   *Session   `json:"session"`
		Terminals []Terminal `json:"terminals" nullable:"false"`
		NotSaved  []NotSaved `json:"notSaved" nullable:"false"`
		Notices   []Notice   `json:"notices" nullable:"false"`
		Usage     *Usage     `json:"usage,omitempty"`
	}
	usageEvent struct {
		Type  string `json:"type" enum:"usage"`
		Usage Usage  `json:"usage"`
	}
	noticesEvent struct {
		Type    string   `json:"type" enum:"notices"`
		Notices []Notice `json:"notices" nullable:"false"`
	}
	itemEvent struct {
		Type string `json:"type" enum:"item"`
		Item Item   `json:"item"`
		By   string `json:"by" enum:"user,session"`
	}
	removedEvent struct {
		Type string `json:"type" enum:"removed"`
		Path string `json:"path"`
	}
	movedEvent struct {
		Type string `json:"type" enum:"moved"`
		From string `json:"from"`
		To   string `json:"to"`
	}
	sessionEvent struct {
		Type    string   `json:"type" enum:"session"`
		Session *Session `json:"session"`
	}
	terminalsEvent struct {
		Type      string     `json:"type" enum:"terminals"`
		Terminals []Terminal `json:"terminals" nullable:"false"`
	}
	notSavedEvent struct {
		Type  string     `json:"type" enum:"notSaved"`
		Items []NotSaved `json:"items" nullable:"false"`
	}
	conflictEvent struct {
		Type string `json:"type" enum:"conflict"`
		Path string `json:"path"`
		Copy string `json:"copy"`
	}
	workspaceEvent struct {
		Type      string    `json:"type" enum:"workspace"`
		Workspace Workspace `json:"workspace"`
	}
	goneEvent struct {
		Type string `json:"type" enum:"gone"`
	}
)

// eventsReadLimit is next to nothing: the browser sends no messages there.
const eventsReadLimit = 1 << 10

func (a *API) registerEvents() {
	rt := route{method: "GET", path: "/workspaces/{id}/events", id: "watchWorkspace", tag: "Workspaces", timeout: unbounded,
		errors: []int{404, 426}, summary: "What happens in a workspace (WebSocket)", deniedAction: "workspace.watch"}
	a.registerRaw(rt, rt.path, a.describeSocket(rt, "docs/protocol.md describes the messages."), a.watchWorkspace)
}

func (a *API) watchWorkspace(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	if err := a.allowUpgrade(r); err != nil {
		return err
	}
	if err := onlyQuery(r.URL); err != nil {
		return err
	}
	ws, err := parseID(r.PathValue("id"), "workspace")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), quick)
	defer cancel()
	// Watching begins before the state is read, so that nothing is lost in between.
	changes, stop, err := a.cfg.Views.Watch(ctx, p, ws)
	if err != nil {
		return err
	}
	defer stop()
	items, stopItems := a.cfg.Files.Watch(ws)
	defer stopItems()

	s, err := a.sockets.accept(w, r, "events", p, ws, eventsReadLimit)
	if err != nil {
		return err
	}
	feed := &feed{api: a, principal: p, ws: ws, ctx: s.ctx, send: s.sendJSON}
	s.work.Go(func() {
		code, reason := feed.run(items, changes)
		s.closeSoon(code, reason)
	})
	// Reading answers pings and notices the end; a message is against the protocol.
	if _, _, err := s.Reader(context.Background()); err == nil {
		s.finish(websocket.StatusPolicyViolation, "Nothing may be sent here.")
	} else {
		s.finish(readFailed(err))
	}
	return nil
}

// feed tells one page what happens in a workspace.
type feed struct {
	api       *API
	principal auth.Principal
	ws        uuid.UUID
	ctx       context.Context // ends with the socket
	send      func(any) error
	last      session.View // what the page knows
}

// run sends events until the socket is to be closed, and returns how.
func (f *feed) run(items <-chan workspace.Event, changes <-chan struct{}) (websocket.StatusCode, string) {
	if err := f.hello(); err != nil {
		return f.failed(err)
	}
	for {
		var err error
		select {
		case <-f.ctx.Done():
			return websocket.StatusNormalClosure, ""
		case <-changes:
			err = f.view()
		case event, ok := <-items:
			if !ok {
				return websocket.StatusTryAgainLater, "Come back."
			}
			if event.Gone {
				_ = f.send(goneEvent{Type: "gone"}) // the close code says it again
				return closeGone, "The workspace is gone."
			}
			err = f.item(event)
		}
		if err != nil {
			return f.failed(err)
		}
	}
}

func (f *feed) failed(err error) (websocket.StatusCode, string) {
	if f.ctx.Err() == nil {
		f.api.log.Debug("an events socket ends", "workspace", f.ws, "err", err)
	}
	return websocket.StatusTryAgainLater, "Come back."
}

func (f *feed) read() (session.View, error) {
	ctx, cancel := context.WithTimeout(f.ctx, quick)
	defer cancel()
	return f.api.cfg.Views.View(ctx, f.principal, f.ws)
}

func (f *feed) hello() error {
	view, err := f.read()
	if err != nil {
		return err
	}
	f.last = view
	return f.send(helloEvent{Type: "hello", Session: shownSession(view), Terminals: terminalsOf(view.Terminals),
		NotSaved: notSavedOf(view.NotSaved), Notices: noticesOf(view.Notices), Usage: usageOf(view.Usage)})
}

// again starts over after events were lost.
func (f *feed) again() error {
	old := f.last
	if err := f.hello(); err != nil {
		return err
	}
	return f.conflicts(old, f.last)
}

// view sends what is different from what the page knows.
func (f *feed) view() error {
	view, err := f.read()
	if err != nil {
		return err
	}
	old := f.last
	f.last = view
	if !sameRun(old.Session, view.Session) || old.Session != nil && !sameSession(*old.Session, *view.Session) || (old.EndsAt == nil) != (view.EndsAt == nil) {
		if err := f.send(sessionEvent{Type: "session", Session: shownSession(view)}); err != nil {
			return err
		}
	}
	if view.Usage != nil && (old.Usage == nil || *old.Usage != *view.Usage) {
		if err := f.send(usageEvent{Type: "usage", Usage: *usageOf(view.Usage)}); err != nil {
			return err
		}
	}
	if !slices.Equal(old.Notices, view.Notices) {
		if err := f.send(noticesEvent{Type: "notices", Notices: noticesOf(view.Notices)}); err != nil {
			return err
		}
	}
	if !slices.EqualFunc(terminalsOf(old.Terminals), terminalsOf(view.Terminals), sameTerminal) {
		if err := f.send(terminalsEvent{Type: "terminals", Terminals: terminalsOf(view.Terminals)}); err != nil {
			return err
		}
	}
	if !slices.Equal(old.NotSaved, view.NotSaved) {
		if err := f.send(notSavedEvent{Type: "notSaved", Items: notSavedOf(view.NotSaved)}); err != nil {
			return err
		}
	}
	return f.conflicts(old, view)
}

// conflicts tells of the conflicts that are new.
func (f *feed) conflicts(old, view session.View) error {
	known := 0
	if sameRun(old.Session, view.Session) {
		known = min(len(old.Conflicts), len(view.Conflicts))
	}
	for _, c := range view.Conflicts[known:] {
		if err := f.send(conflictEvent{Type: "conflict", Path: c.Path, Copy: c.Copy}); err != nil {
			return err
		}
	}
	return nil
}

// sameRun reports whether both are views of one session.
func sameRun(a, b *session.Session) bool {
	return a == nil && b == nil || a != nil && b != nil && a.ID == b.ID
}

func sameSession(a, b session.Session) bool {
	return a.ID == b.ID && a.State == b.State && a.Reason == b.Reason
}

func sameTerminal(a, b Terminal) bool {
	if (a.Exit == nil) != (b.Exit == nil) || a.Exit != nil && *a.Exit != *b.Exit {
		return false
	}
	a.Exit, b.Exit = nil, nil
	return a == b
}

func (f *feed) item(event workspace.Event) error {
	switch {
	case event.Lost:
		return f.again()
	case event.Workspace != nil:
		return f.send(workspaceEvent{Type: "workspace", Workspace: f.api.withState(*event.Workspace)})
	case event.Applied.Item != nil:
		by := "user"
		if event.By.SessionID != uuid.Nil {
			by = "session"
		}
		return f.send(itemEvent{Type: "item", Item: itemOf(*event.Applied.Item), By: by})
	case event.Applied.Removed != "":
		return f.send(removedEvent{Type: "removed", Path: event.Applied.Removed})
	case event.Applied.Moved != nil:
		return f.send(movedEvent{Type: "moved", From: event.Applied.Moved.From, To: event.Applied.Moved.To})
	}
	return nil
}
