package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/session"
)

type event struct {
	Seq       int64
	Actor     *uuid.UUID
	Action    string
	Object    string
	Outcome   string
	Detail    json.RawMessage
	RequestID string
	Address   string
}

func events(t testing.TB, url string) []event {
	t.Helper()
	rows, err := connect(t, url).Query(t.Context(), "SELECT seq, actor, action, object, outcome, detail, request_id, address FROM audit_events ORDER BY seq")
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[event])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestL1_EachActionLeavesOneEvent(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	ctx := audit.WithOrigin(t.Context(), audit.Origin{RequestID: "request-1", Address: "192.0.2.7"})
	user, err := db.CreateUser(ctx, auth.NewUser{Username: "ada", PasswordHash: "secret-hash"})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	login, err := db.CreateLogin(ctx, auth.Login{UserID: user.ID}, auth.TokenSum{1}, life)
	must(err)
	_, _, err = db.LoginByToken(ctx, auth.TokenSum{1}, life)
	must(err)
	must(db.SetPassword(ctx, user.ID, "secret-hash-2", login.ID))
	ws, err := db.CreateWorkspace(ctx, user.ID, "first", nil, nil, limits)
	must(err)
	_, err = db.RenameWorkspace(ctx, ws.ID, "second", user.ID)
	must(err)
	server := uuid.New()
	one, err := db.CreateSession(ctx, uuid.New(), ws.ID, user.ID, server, lease, session.Quota{})
	must(err)
	_, err = db.SetState(ctx, one.ID, server, session.Running, "")
	must(err)
	_, err = db.SetState(ctx, one.ID, server, session.Ended, "Over.")
	must(err)
	must(db.DeleteWorkspace(ctx, ws.ID, user.ID))
	must(db.DeleteLogin(ctx, login.ID))
	must(db.Append(ctx, audit.Event{Actor: user.ID, Action: "workspace.read", Object: "workspace:x", Outcome: audit.Denied}))

	var actions []string
	for i, e := range events(t, url) {
		actions = append(actions, e.Action)
		if e.Seq != int64(i+1) || e.RequestID != "request-1" || e.Address != "192.0.2.7" || e.Object == "" {
			t.Errorf("want event %d with its origin and object, got %+v", i+1, e)
		}
		if strings.Contains(string(e.Detail), "secret") {
			t.Errorf("a secret is in %+v", e)
		}
		wantActor := !slices.Contains([]string{"user.create", "session.end"}, e.Action)
		if wantActor != (e.Actor != nil && *e.Actor == user.ID) {
			t.Errorf("want the actor: %v, got %+v", wantActor, e)
		}
		if want := e.Action == "workspace.read"; want != (e.Outcome == "denied") {
			t.Errorf("want only the last one denied, got %+v", e)
		}
	}
	want := []string{"user.create", "login.create", "password.change", "workspace.create", "workspace.rename", "session.start", "session.end",
		"workspace.delete", "login.end", "workspace.read"}
	if !slices.Equal(actions, want) {
		t.Errorf("want %q, got %q", want, actions)
	}
}

func TestL1_WithoutItsEventNothingHappens(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	user := newUser(t, db)
	exec(t, url, `ALTER TABLE audit_events ADD CHECK (action <> 'workspace.create') NOT VALID`)
	if _, err := db.CreateWorkspace(t.Context(), user.ID, "unseen", nil, nil, limits); err == nil {
		t.Fatal("want an error")
	}
	if n := value[int](t, url, "SELECT count(*) FROM workspaces"); n != 0 {
		t.Errorf("want no workspace without its event, got %d", n)
	}
}

func TestL2_NumbersHaveNoGapsAndEventsStay(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%4 == 0 {
				cancel() // these leave nothing, also no gap
			}
			err := db.Append(ctx, audit.Event{Action: "test", Object: fmt.Sprint(i)})
			if (err != nil) != (i%4 == 0) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, e := range events(t, url) {
		if e.Seq != int64(i+1) {
			t.Fatalf("want number %d, got %d", i+1, e.Seq)
		}
	}
	if n := value[int](t, url, "SELECT count(*) FROM audit_events"); n != 30 {
		t.Errorf("want 30 events, got %d", n)
	}
	if n := value[int](t, url, "SELECT count(*) FROM (SELECT at < lag(at) OVER (ORDER BY seq) AS back FROM audit_events) x WHERE back"); n != 0 {
		t.Errorf("want times in the order of the numbers, got %d steps back", n)
	}
	conn := connect(t, url)
	for _, sql := range []string{"UPDATE audit_events SET actor = NULL", "DELETE FROM audit_events", "TRUNCATE audit_events"} {
		if _, err := conn.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: want it refused", sql)
		}
	}
}

func TestL1_ValuesCannotHideLinesOrFillTheLog(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	err := db.Append(t.Context(), audit.Event{Action: "test\n", Object: strings.Repeat("é", 1000),
		Detail: map[string]string{"name": "a\nb\x1b[2Jc\x00\xff", "long": strings.Repeat("x", 1<<20)}})
	if err != nil {
		t.Fatal(err)
	}
	e := events(t, url)[0]
	var detail map[string]string
	if err := json.Unmarshal(e.Detail, &detail); err != nil {
		t.Fatal(err)
	}
	if e.Action != "test " || len(e.Object) != 400 || detail["name"] != "a b [2Jc \uFFFD" || len(detail["long"]) != 1024 {
		t.Errorf("want plain and bounded text, got %q, %d bytes, %q, %d bytes", e.Action, len(e.Object), detail["name"], len(detail["long"]))
	}
}
