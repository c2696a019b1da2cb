package httpapi

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"

	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

func TestTheEventsSocketTellsWhatHappens(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	first := session.Session{ID: uuid.New(), State: session.Starting, CreatedAt: time.Now()}
	w.sessions.set(session.View{Session: &first, Conflicts: []session.Conflict{{Path: "old", Copy: "old (conflict)"}}})
	p := ada.dial("/events")
	hello := p.message("hello")
	if hello["session"].(map[string]any)["state"] != "starting" || len(hello["terminals"].([]any)) != 0 || len(hello["notSaved"].([]any)) != 0 {
		t.Errorf("hello says %v", hello)
	}

	want(t, "save", ada.file("PUT", "dir/x.py", "x", "If-None-Match", "*"), 201)
	if m := p.message("item"); m["item"].(map[string]any)["path"] != "dir" || m["by"] != "user" {
		t.Errorf("want the folder first, got %v", m)
	}
	if m := p.message("item"); m["item"].(map[string]any)["path"] != "dir/x.py" {
		t.Errorf("got %v", m)
	}
	want(t, "move", ada.json("POST", "/workspaces/"+ada.workspace+"/move", `{"from":"dir","to":"other"}`), 200)
	if m := p.message("moved"); m["from"] != "dir" || m["to"] != "other" {
		t.Errorf("got %v", m)
	}
	p.skipTo("removed", func() { want(t, "remove", ada.file("DELETE", "other", ""), 204) })
	want(t, "rename", ada.json("PATCH", "/workspaces/"+ada.workspace, `{"name":"new name"}`), 200)
	if m := p.message("workspace"); m["workspace"].(map[string]any)["name"] != "new name" {
		t.Errorf("got %v", m)
	}

	running := first
	running.State = session.Running
	w.sessions.set(session.View{Session: &running, Conflicts: []session.Conflict{{Path: "old", Copy: "old (conflict)"}, {Path: "a", Copy: "a (conflict)"}},
		NotSaved:  []session.NotSaved{{Path: "big", Reason: "It is too large.", Size: 1 << 40}},
		Terminals: []terminal.State{{ID: uuid.NewString(), Kind: terminal.Run, Title: "x.py", Size: terminal.Size{Cols: 80, Rows: 24}, Exit: &terminal.Exit{Code: 1}}}})
	if m := p.message("session"); m["session"].(map[string]any)["state"] != "running" {
		t.Errorf("got %v", m)
	}
	one := p.message("terminals")["terminals"].([]any)[0].(map[string]any)
	if one["kind"] != "run" || one["cols"] != 80.0 || one["exit"].(map[string]any)["code"] != 1.0 {
		t.Errorf("got %v", one)
	}
	if m := p.message("notSaved")["items"].([]any)[0].(map[string]any); m["path"] != "big" || m["reason"] != "It is too large." {
		t.Errorf("got %v", m)
	}
	if m := p.message("conflict"); m["path"] != "a" || m["copy"] != "a (conflict)" {
		t.Errorf("want only the new conflict, got %v", m)
	}
	w.sessions.set(session.View{})
	if m := p.message("session"); m["session"] != nil {
		t.Errorf("want null, got %v", m)
	}

	p.send(websocket.MessageText, "hello?")
	p.closed(websocket.StatusPolicyViolation)
}

// skipTo does something and reads until the message of the type: a move may be told with its items.
func (p *page) skipTo(kind string, do func()) {
	p.t.Helper()
	do()
	for range 20 {
		if m, _ := p.next(); m["type"] == kind {
			return
		}
	}
	p.t.Fatalf("there is no %s", kind)
}

func TestAfterLostEventsThePageIsToldToStartOver(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	var sent []string
	f := &feed{api: w.api, principal: ada.principal, ws: ada.id(), ctx: context.Background(), send: func(v any) error {
		switch m := v.(type) {
		case helloEvent:
			sent = append(sent, m.Type)
		case conflictEvent:
			sent = append(sent, m.Type+" "+m.Path)
		case goneEvent:
			sent = append(sent, m.Type)
		case itemEvent:
			sent = append(sent, m.Type+" by "+m.By)
		}
		return nil
	}}
	events := make(chan workspace.Event, 3)
	w.sessions.set(session.View{Session: &session.Session{ID: uuid.New()}, Conflicts: []session.Conflict{{Path: "a"}}})
	if err := f.hello(); err != nil {
		t.Fatal(err)
	}
	view := f.last
	view.Conflicts = []session.Conflict{{Path: "a"}, {Path: "b"}}
	w.sessions.set(view)
	if err := f.item(workspace.Event{Lost: true}); err != nil {
		t.Fatal(err)
	}
	if err := f.item(workspace.Event{Applied: workspace.Applied{Item: &workspace.Item{}}, By: workspace.Author{SessionID: uuid.New()}}); err != nil {
		t.Fatal(err)
	}
	events <- workspace.Event{Gone: true}
	if code, _ := f.run(events, nil); code != closeGone {
		t.Errorf("want the code of a workspace that is gone, got %d", code)
	}
	if got := strings.Join(sent, ", "); got != "hello, hello, conflict b, item by session, hello, gone" {
		t.Errorf("got %s", got)
	}
}
