package session_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/sandbox"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

// place is a server's sessions over a real database, with sandboxes in memory.
type place struct {
	t     testing.TB
	files *workspace.Service
	store session.Store
	items workspace.Store
	yard  *yard
	*session.Service
	who    auth.Principal
	ws     uuid.UUID
	policy session.Policy
	limits sandbox.Limits
	pool   *sandbox.Pool
}

var testLimits = workspace.Limits{FileBytes: 1 << 20, WorkspaceBytes: 4 << 20, Items: 500, Workspaces: 10}

func newPlace(t testing.TB) *place {
	t.Helper()
	db := postgrestest.New(t)
	keys, err := workspace.LoadKeys(filepath.Join(t.TempDir(), "keys.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	files := workspace.New(workspace.Config{Store: db, Keys: keys, Limits: testLimits, Log: testLog()})
	user, err := db.CreateUser(t.Context(), auth.NewUser{Username: "ada", PasswordHash: "none"})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, files: files, store: db, items: db, yard: newYard(), who: auth.Principal{UserID: user.ID, Username: user.Username}}
	ws, err := files.Create(t.Context(), p.who, "work", "blank")
	if err != nil {
		t.Fatal(err)
	}
	p.ws = ws.ID
	p.serve()
	t.Cleanup(func() { p.Service.Close() })
	return p
}

// serve starts a server, as after a restart.
func (p *place) serve() {
	p.t.Helper()
	p.Service = session.New(session.Config{Store: p.store, Driver: p.yard, Pool: p.pool, Connect: connectBox, Files: p.files, Isolation: sandbox.GVisor,
		Limits: p.limits, Policy: p.policy, Server: uuid.New(), Lease: 15 * time.Second, Log: testLog()})
	if err := p.Recover(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) start() *box {
	p.t.Helper()
	one, err := p.Start(p.t.Context(), p.who, p.ws)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.yard.box(one.ID.String())
}

func (p *place) save(path, content string) workspace.Item {
	p.t.Helper()
	item, err := p.files.Write(p.t.Context(), p.who, p.ws, path, []byte(content), workspace.WriteOptions{IfVersion: workspace.AnyVersion})
	if err != nil {
		p.t.Fatal(err)
	}
	return item
}

func (p *place) stored(path string) (string, bool) {
	_, content, err := p.files.Read(p.t.Context(), p.who, p.ws, path)
	if fault.Is(err, fault.NotFound) {
		return "", false
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return string(content), true
}

func (p *place) flush() {
	p.t.Helper()
	if err := p.Flush(p.t.Context(), p.ws); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) view() session.View {
	p.t.Helper()
	v, err := p.View(p.t.Context(), p.who, p.ws)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// eventually waits for a condition, with a deadline.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func TestASessionBeginsWithTheStoredFilesAndBothSidesFollowEachOther(t *testing.T) {
	p := newPlace(t)
	p.save("data/in.csv", "a,b\n1,2\n")
	box := p.start()
	if got, _ := box.read("data/in.csv"); got != "a,b\n1,2\n" {
		t.Fatalf("want the stored file in the new sandbox, got %q", got)
	}

	p.save("data/in.csv", "a,b\n3,4\n")
	eventually(t, "a save is in the sandbox", func() bool { got, _ := box.read("data/in.csv"); return got == "a,b\n3,4\n" })

	box.write("out/table.txt", "42\n")
	eventually(t, "a file of the sandbox is stored", func() bool { got, _ := p.stored("out/table.txt"); return got == "42\n" })

	box.remove("out")
	eventually(t, "a removal in the sandbox is stored", func() bool { _, there := p.stored("out/table.txt"); return !there })

	if err := p.files.Remove(t.Context(), p.who, p.ws, "data", workspace.AnyVersion); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a removal in the store reaches the sandbox", func() bool { _, there := box.read("data"); return !there })
}

func TestWhenBothSidesChangeAFileBothVersionsAreKeptAndTheUserIsTold(t *testing.T) {
	p := newPlace(t)
	p.save("a.py", "one")
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.files["a.py"] = boxItem{kind: workspace.File, content: []byte("theirs")} // without a hint
	box.mu.Unlock()
	p.save("a.py", "ours")
	p.flush()

	if got, _ := p.stored("a.py"); got != "ours" {
		t.Fatalf("want the editor's version at the path, got %q", got)
	}
	conflicts := p.view().Conflicts
	if len(conflicts) != 1 || conflicts[0].Path != "a.py" {
		t.Fatalf("want one conflict on a.py, got %+v", conflicts)
	}
	for side, read := range map[string]func(string) (string, bool){"store": p.stored, "sandbox": box.read} {
		if got, _ := read(conflicts[0].Copy); got != "theirs" {
			t.Fatalf("want the sandbox's version as %s in the %s, got %q", conflicts[0].Copy, side, got)
		}
	}
	if got, _ := box.read("a.py"); got != "ours" {
		t.Fatalf("want the editor's version in the sandbox, got %q", got)
	}
}

func TestP2_AFailedScanDeletesNothing(t *testing.T) {
	p := newPlace(t)
	p.save("keep.txt", "precious")
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.fails = 3
	box.mu.Unlock()
	p.flush()
	if got, _ := p.stored("keep.txt"); got != "precious" {
		t.Fatalf("want the file kept, got %q", got)
	}
}

func TestD1_AServerThatComesBackGoesOnWithTheSandboxAndItsTerminals(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	term, err := p.OpenTerminal(t.Context(), p.who, p.ws, terminal.Size{Cols: 80, Rows: 24})
	if err != nil {
		t.Fatal(err)
	}
	p.Service.Close()
	p.save("while-away.txt", "saved without a session service")
	box.write("in-sandbox.txt", "written meanwhile")
	p.serve()
	p.flush()
	if got := p.view(); got.Session.State != session.Running || len(got.Terminals) != 1 || got.Terminals[0].ID != term.ID {
		t.Fatalf("want the session running with its terminal, got %+v", got)
	}
	if got, _ := box.read("while-away.txt"); got == "" {
		t.Fatal("want the save that happened meanwhile in the sandbox")
	}
	if got, _ := p.stored("in-sandbox.txt"); got != "written meanwhile" {
		t.Fatalf("want the sandbox's file stored, got %q", got)
	}
}

func TestS6_WhenTheSandboxIsGoneTheSessionEndsWithAReasonAndTheFilesStay(t *testing.T) {
	p := newPlace(t)
	p.save("a.txt", "safe")
	box := p.start()
	id := p.view().Session.ID
	if err := p.yard.Remove(t.Context(), box.spec.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session has ended", func() bool { return p.view().Session.State == session.Ended })
	if got := p.view().Session; got.ID != id || got.Reason != "It was removed." {
		t.Fatalf("want the reason told, got %+v", got)
	}
	again := p.start()
	if got, _ := again.read("a.txt"); got != "safe" {
		t.Fatalf("want the files in the new sandbox, got %q", got)
	}
}

func TestAServerThatFindsItsSandboxGoneEndsTheSession(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	p.Service.Close()
	if err := p.yard.Remove(t.Context(), box.spec.ID); err != nil {
		t.Fatal(err)
	}
	p.serve()
	if got := p.view().Session; got == nil || got.State != session.Ended || !strings.Contains(got.Reason, "files are safe") {
		t.Fatalf("want the session ended with a reason, got %+v", got)
	}
}

func TestSandboxesWithoutASessionAreRemovedAtStart(t *testing.T) {
	p := newPlace(t)
	if err := p.yard.Create(t.Context(), sandbox.Spec{ID: uuid.NewString(), Workspace: uuid.NewString()}); err != nil {
		t.Fatal(err)
	}
	p.Service.Close()
	p.serve()
	eventually(t, "the left-over is removed", func() bool { l, _ := p.yard.List(t.Context()); return len(l) == 0 })
}

func TestEndingASessionStoresItsLastChangesFirst(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.files["last.txt"] = boxItem{kind: workspace.File, content: []byte("last words")} // without a hint
	box.mu.Unlock()
	if err := p.End(t.Context(), p.who, p.ws, "Ended by you."); err != nil {
		t.Fatal(err)
	}
	if got, _ := p.stored("last.txt"); got != "last words" {
		t.Fatalf("want the last change stored, got %q", got)
	}
	if list, _ := p.yard.List(t.Context()); len(list) != 0 {
		t.Fatalf("want no sandbox left, got %+v", list)
	}
}

func TestALostConnectionIsMadeAgainAndNothingIsMissed(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	p.flush()
	box.cut()
	box.mu.Lock()
	box.files["unseen.txt"] = boxItem{kind: workspace.File, content: []byte("x")}
	box.mu.Unlock()
	eventually(t, "the change is stored", func() bool { _, there := p.stored("unseen.txt"); return there })
}

func TestWhatCannotBeStoredIsNamedWithItsReasonAndKeepsNothingElseBack(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	box.change(func(files map[string]boxItem) {
		files["pipe"] = boxItem{kind: workspace.File, problem: "a pipe"}
		for i := range 5 {
			files[fmt.Sprintf("big%d", i)] = boxItem{kind: workspace.File, content: []byte(strings.Repeat(fmt.Sprint(i), 1<<20))}
		}
		files["small"] = boxItem{kind: workspace.File, content: []byte("fits")}
	}, "pipe", "big0", "big1", "big2", "big3", "big4", "small")
	eventually(t, "what fits is stored and the rest is named", func() bool {
		_, there := p.stored("small")
		return there && len(p.view().NotSaved) == 3
	})
	for _, n := range p.view().NotSaved {
		if n.Reason == "" || !strings.HasPrefix(n.Path, "big") && n.Path != "pipe" {
			t.Errorf("got %+v", n)
		}
	}
	box.remove("pipe")
	eventually(t, "what is gone is named no more", func() bool { return len(p.view().NotSaved) == 2 })
}

func TestAWriteThatTheSandboxRefusesIsToldAndKeepsNothingElseBack(t *testing.T) {
	p := newPlace(t)
	p.save("locked/a.txt", "one")
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.closed = "locked"
	box.mu.Unlock()
	p.save("locked/a.txt", "two")
	p.save("open.txt", "free")
	p.flush()
	if got, _ := box.read("open.txt"); got != "free" {
		t.Fatalf("want the other save in the sandbox, got %q", got)
	}
	if list := p.view().NotSaved; len(list) != 1 || list[0].Path != "locked/a.txt" || !strings.Contains(list[0].Reason, "Permission denied") {
		t.Fatalf("want the refusal told, got %+v", list)
	}
	if got, _ := p.stored("locked/a.txt"); got != "two" {
		t.Fatalf("want the save kept, got %q", got)
	}
}

func TestZ1_AStrangersSessionDoesNotExist(t *testing.T) {
	p := newPlace(t)
	p.start()
	stranger := auth.Principal{UserID: uuid.New(), Username: "eve"}
	for name, call := range map[string]func(ws uuid.UUID) error{
		"view":  func(ws uuid.UUID) error { _, err := p.View(t.Context(), stranger, ws); return err },
		"start": func(ws uuid.UUID) error { _, err := p.Start(t.Context(), stranger, ws); return err },
		"end":   func(ws uuid.UUID) error { return p.End(t.Context(), stranger, ws, "") },
		"terminal": func(ws uuid.UUID) error {
			_, err := p.OpenTerminal(t.Context(), stranger, ws, terminal.Size{})
			return err
		},
		"run": func(ws uuid.UUID) error {
			_, err := p.Run(t.Context(), stranger, ws, "a.py", terminal.Size{})
			return err
		},
		"watch": func(ws uuid.UUID) error { _, _, err := p.Watch(t.Context(), stranger, ws); return err },
	} {
		foreign, missing := call(p.ws), call(uuid.New())
		if !fault.Is(foreign, fault.NotFound) || foreign.Error() != missing.Error() {
			t.Errorf("%s: foreign %v, missing %v", name, foreign, missing)
		}
	}
}

func TestAStartThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	p := newPlace(t)
	p.yard.refuses = fault.New(fault.Unavailable, "The runtime does not work.")
	if _, err := p.Start(t.Context(), p.who, p.ws); fault.MessageOf(err) != "The runtime does not work." {
		t.Fatalf("want the driver's message, got %v", err)
	}
	p.yard.refuses = nil
	eventually(t, "another start succeeds", func() bool { _, err := p.Start(t.Context(), p.who, p.ws); return err == nil })
}

func TestManyStartsAtOnceMakeOneSandbox(t *testing.T) {
	p := newPlace(t)
	errs := make(chan error)
	for range 20 {
		go func() { _, err := p.Start(t.Context(), p.who, p.ws); errs <- err }()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if list, _ := p.yard.List(t.Context()); len(list) != 1 {
		t.Fatalf("want one sandbox, got %d", len(list))
	}
}

var _ io.ReadWriteCloser = (*link)(nil)

// testLog is silent unless somebody looks for a cause.
func testLog() *slog.Logger {
	if os.Getenv("VIVARIUM_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}
