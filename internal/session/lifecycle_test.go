package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/session"
	"vivarium/internal/terminal"
	"vivarium/internal/workspace"
)

func withPolicy(t *testing.T, policy session.Policy) *place {
	p := newPlace(t)
	p.Service.Close()
	p.policy = policy
	p.limits = sandbox.Limits{CPUs: 1, MemoryBytes: 1 << 30, Processes: 100, DiskBytes: 1 << 30, HomeBytes: 1 << 30}
	p.serve()
	return p
}

func TestAnIdleSessionEndsAfterItsFilesAreStored(t *testing.T) {
	p := withPolicy(t, session.Policy{IdleAfter: 50 * time.Millisecond})
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.files["late.txt"] = boxItem{kind: workspace.File, content: []byte("x")} // without a hint
	box.mu.Unlock()
	eventually(t, "the session has ended", func() bool { return p.view().Session.State == session.Ended })
	if reason := p.view().Session.Reason; !strings.Contains(reason, "Nobody was here") {
		t.Errorf("want the reason told, got %q", reason)
	}
	if _, there := p.stored("late.txt"); !there {
		t.Error("want the last change stored")
	}
}

func TestASessionThatIsLookedAtOrHasAJobDoesNotEndByIdleness(t *testing.T) {
	p := withPolicy(t, session.Policy{IdleAfter: 50 * time.Millisecond})
	_, stop, err := p.Watch(t.Context(), p.who, p.ws)
	if err != nil {
		t.Fatal(err)
	}
	box := p.start()
	readings := func(n int) {
		t.Helper()
		// A reading of the usage is one look of the policy.
		for range n {
			before := p.view().Usage
			eventually(t, "another look", func() bool { now := p.view().Usage; return now != nil && (before == nil || now.At.After(before.At)) })
		}
	}
	readings(10)
	if got := p.view().Session.State; got != session.Running {
		t.Fatalf("somebody looks, and it is %s", got)
	}
	box.mu.Lock()
	box.terms = append(box.terms, terminal.State{ID: uuid.NewString(), Kind: terminal.Shell, Busy: true, Started: time.Now()})
	box.mu.Unlock()
	if _, err := p.OpenTerminal(t.Context(), p.who, p.ws, terminal.Size{Cols: 80, Rows: 24}); err != nil { // asks for the list
		t.Fatal(err)
	}
	readings(2)
	stop()
	deadline := time.After(500 * time.Millisecond) // ten times as long as it may be idle
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		select {
		case <-deadline:
			waiting = false
		case <-tick.C:
			if got := p.view().Session.State; got != session.Running {
				t.Fatalf("a job runs, and it is %s", got)
			}
		}
	}
	box.mu.Lock()
	box.terms = nil
	box.mu.Unlock()
	if _, err := p.OpenTerminal(t.Context(), p.who, p.ws, terminal.Size{Cols: 80, Rows: 24}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends when the job has", func() bool { return p.view().Session.State == session.Ended })
}

func TestASessionEndsAtItsGreatestAgeAfterAWarning(t *testing.T) {
	p := withPolicy(t, session.Policy{IdleAfter: time.Hour, MaxAge: 2 * time.Second, Warning: time.Hour})
	p.start()
	eventually(t, "the warning", func() bool { v := p.view(); return v.EndsAt != nil && v.Session.State == session.Running })
	eventually(t, "the end", func() bool { return p.view().Session.State == session.Ended })
	if reason := p.view().Session.Reason; !strings.Contains(reason, "longest that one may run") {
		t.Errorf("got %q", reason)
	}
}

func TestS3_S4_LimitsThatBiteAreExplainedAndKeptWithTheSession(t *testing.T) {
	p := withPolicy(t, session.Policy{IdleAfter: time.Hour})
	_, stop, err := p.Watch(t.Context(), p.who, p.ws)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	box := p.start()
	eventually(t, "a first reading", func() bool { return p.view().Usage != nil })
	box.mu.Lock()
	box.terms = []terminal.State{{ID: uuid.NewString(), Kind: terminal.Run, Title: "hog.py", Started: time.Now(),
		Exit: &terminal.Exit{Code: -1, Signal: "SIGKILL", At: time.Now()}}}
	box.usage = sandbox.Usage{CPU: 5 * time.Second, MemoryBytes: 1 << 29, PeakBytes: 1 << 30, MemoryKills: 1, Processes: 100, DiskBytes: 1 << 30}
	box.mu.Unlock()
	notice := func(limit string) *session.Notice {
		list := p.view().Notices
		if i := slices.IndexFunc(list, func(n session.Notice) bool { return n.Limit == limit }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	eventually(t, "all three are explained", func() bool { return len(p.view().Notices) == 3 })
	if n := notice("memory"); n == nil || n.Process != "hog.py" || n.Bound != 1<<30 || !strings.Contains(n.Text, "1 GiB") {
		t.Errorf("memory: got %+v", n)
	}
	if n := notice("disk"); n == nil || !strings.Contains(n.Text, "Delete files") {
		t.Errorf("disk: got %+v", n)
	}
	if n := notice("processes"); n == nil || n.Bound != 100 {
		t.Errorf("processes: got %+v", n)
	}
	at := p.view().Usage.At
	eventually(t, "another reading", func() bool { return p.view().Usage.At.After(at) })
	if n := len(p.view().Notices); n != 3 {
		t.Errorf("want each limit explained once, got %d notices", n)
	}
	if err := p.End(t.Context(), p.who, p.ws, "Done."); err != nil {
		t.Fatal(err)
	}
	v := p.view()
	if len(v.Notices) != 3 || v.Session.Record.PeakMemory != 1<<30 || v.Session.Record.PeakProcess != 100 || v.Session.Record.CPU != 5*time.Second {
		t.Errorf("want the record kept with the ended session, got %+v", v.Session.Record)
	}
}

func TestAQuotaThatIsUsedUpOffersTheUsersOwnOldestIdleSession(t *testing.T) {
	p := withPolicy(t, session.Policy{PerUser: 1})
	p.start()
	other, err := p.files.Create(t.Context(), p.who, "second", "blank")
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Start(t.Context(), p.who, other.ID)
	if !fault.Is(err, fault.Exhausted) || !strings.Contains(fault.MessageOf(err), "“work”") {
		t.Fatalf("want a refusal that names the workspace “work”, got %v", err)
	}
	if err := p.End(t.Context(), p.who, p.ws, "Ended by you."); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Start(t.Context(), p.who, other.ID); err != nil {
		t.Fatalf("want a place after the end of the other, got %v", err)
	}
}

func TestEndingAllSessionsStoresFilesAndLeavesNoSandbox(t *testing.T) {
	p := newPlace(t)
	box := p.start()
	p.flush()
	box.mu.Lock()
	box.files["last.txt"] = boxItem{kind: workspace.File, content: []byte("x")}
	box.mu.Unlock()
	if err := p.EndAll(t.Context(), "The server is switched off."); err != nil {
		t.Fatal(err)
	}
	if _, there := p.stored("last.txt"); !there {
		t.Error("want the last change stored")
	}
	if list, _ := p.yard.List(t.Context()); len(list) != 0 {
		t.Errorf("want no sandbox left, got %+v", list)
	}
	if got := p.view().Session; got.State != session.Ended || got.Reason != "The server is switched off." {
		t.Errorf("got %+v", got)
	}
}
