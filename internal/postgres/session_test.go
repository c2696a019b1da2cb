package postgres_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/postgrestest"
	"vivarium/internal/session"
	"vivarium/internal/workspace"
)

const lease = 15 * time.Second

func (b *bench) start(server uuid.UUID) session.Session {
	b.t.Helper()
	one, err := b.db.CreateSession(b.t.Context(), uuid.New(), b.ws, b.owner.ID, server, lease, session.Quota{})
	if err != nil {
		b.t.Fatal(err)
	}
	return one
}

// second opens the database as another server does.
func (b *bench) second() *postgres.DB {
	b.t.Helper()
	db, err := postgres.Open(b.t.Context(), b.url, postgrestest.Log(b.t))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(db.Close)
	return db
}

func hold(t testing.TB, db *postgres.DB, server uuid.UUID) (release func()) {
	t.Helper()
	release, err := db.HoldServer(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	once := sync.OnceFunc(release)
	t.Cleanup(once)
	return once
}

func TestAWorkspaceHasOneLiveSession(t *testing.T) {
	b := newBench(t)
	_, err := b.db.LiveSession(t.Context(), b.ws)
	wantKind(t, err, fault.NotFound)
	_, err = b.db.LastSession(t.Context(), b.ws)
	wantKind(t, err, fault.NotFound)

	server := uuid.New()
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := b.db.CreateSession(t.Context(), uuid.New(), b.ws, b.owner.ID, server, lease, session.Quota{})
			switch {
			case err == nil:
				made.Add(1)
			case fault.Is(err, fault.Conflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 1 || refused.Load() != 19 {
		t.Fatalf("want 1 session and 19 conflicts, got %d and %d", made.Load(), refused.Load())
	}
	live, err := b.db.LiveSession(t.Context(), b.ws)
	if err != nil || live.State != session.Starting || live.WorkspaceID != b.ws || live.StartedBy != b.owner.ID || live.EndedAt != nil {
		t.Fatalf("want a starting session, got %+v (%v)", live, err)
	}
	running, err := b.db.SetState(t.Context(), live.ID, server, session.Running, "")
	if err != nil || running.State != session.Running {
		t.Fatalf("want it running, got %+v (%v)", running, err)
	}
	ended, err := b.db.SetState(t.Context(), live.ID, server, session.Ended, "Over\x00.")
	if err != nil || ended.State != session.Ended || ended.Reason != "Over ." || ended.EndedAt == nil {
		t.Fatalf("want it ended with a reason, got %+v (%v)", ended, err)
	}
	_, err = b.db.LiveSession(t.Context(), b.ws)
	wantKind(t, err, fault.NotFound)
	if last, err := b.db.LastSession(t.Context(), b.ws); err != nil || !reflect.DeepEqual(last, ended) {
		t.Errorf("want the ended one, got %+v (%v)", last, err)
	}
	_, err = b.db.SetState(t.Context(), live.ID, server, session.Running, "")
	wantKind(t, err, fault.Conflict)
	next := b.start(server)
	if last, err := b.db.LastSession(t.Context(), b.ws); err != nil || last.ID != next.ID {
		t.Errorf("want the new one, got %+v (%v)", last, err)
	}
	_, err = b.db.SetState(t.Context(), uuid.New(), server, session.Running, "")
	wantKind(t, err, fault.NotFound)
	_, err = b.db.CreateSession(t.Context(), uuid.New(), uuid.New(), b.owner.ID, server, lease, session.Quota{})
	wantKind(t, err, fault.NotFound)
}

func TestD6_ALeaseThatRunsIsRespectedWhileItsServerLives(t *testing.T) {
	b := newBench(t)
	first, second := uuid.New(), uuid.New()
	hold(t, b.db, first)
	one := b.start(first)
	other := b.second()
	hold(t, other, second)
	if taken, err := other.TakeSessions(t.Context(), second, lease); err != nil || len(taken) != 0 {
		t.Fatalf("want nothing to take, got %+v (%v)", taken, err)
	}
	_, err := other.SetState(t.Context(), one.ID, second, session.Running, "")
	wantKind(t, err, fault.Conflict)
	if mine, err := b.db.TakeSessions(t.Context(), first, lease); err != nil || len(mine) != 1 || mine[0].ID != one.ID {
		t.Errorf("want the first server to find its own, got %+v (%v)", mine, err)
	}
}

func TestD6_AServerThatSleptOverItsLeaseIsFenced(t *testing.T) {
	b := newBench(t)
	first, second := uuid.New(), uuid.New()
	hold(t, b.db, first)
	one := b.start(first)
	if _, err := b.db.SetState(t.Context(), one.ID, first, session.Running, ""); err != nil {
		t.Fatal(err)
	}
	exec(t, b.url, "UPDATE sessions SET lease_until = now() - interval '1 second'")
	other := b.second()
	hold(t, other, second)
	taken, err := other.TakeSessions(t.Context(), second, lease)
	if err != nil || len(taken) != 1 || taken[0].ID != one.ID || taken[0].State != session.Running {
		t.Fatalf("want the session taken over as it was, got %+v (%v)", taken, err)
	}
	// The first one wakes up. Nothing that it writes for the session may get through.
	by := workspace.Author{UserID: b.owner.ID, SessionID: one.ID}
	_, err = b.db.Apply(t.Context(), b.ws, by, []workspace.Change{b.folder("late")}, nil, limits)
	wantKind(t, err, fault.Conflict)
	wantKind(t, b.db.SetBase(t.Context(), one.ID, []workspace.BaseChange{{BaseItem: workspace.BaseItem{Path: "x", Kind: workspace.Folder}}}), fault.Conflict)
	_, err = b.db.SetState(t.Context(), one.ID, first, session.Ended, "Late.")
	wantKind(t, err, fault.Conflict)
	if err := b.db.RenewLease(t.Context(), first, time.Hour); err != nil {
		t.Fatal(err)
	}
	if mine, err := b.db.TakeSessions(t.Context(), first, lease); err != nil || len(mine) != 0 {
		t.Errorf("want it to get nothing back, got %+v (%v)", mine, err)
	}
	if _, err := other.Apply(t.Context(), b.ws, by, []workspace.Change{b.folder("in time")}, nil, limits); err != nil {
		t.Errorf("want the new owner to write, got %v", err)
	}
	// What a person does through the first server goes on.
	b.must(b.folder("by a person"))
}

func TestD6_TheSessionsOfAKilledServerAreTakenAtOnce(t *testing.T) {
	b := newBench(t)
	first, second := uuid.New(), uuid.New()
	killed := b.second()
	release := hold(t, killed, first)
	one := b.start(first)
	if err := killed.RenewLease(t.Context(), first, time.Hour); err != nil {
		t.Fatal(err)
	}
	hold(t, b.db, second)
	if taken, err := b.db.TakeSessions(t.Context(), second, lease); err != nil || len(taken) != 0 {
		t.Fatalf("want nothing while the first lives, got %+v (%v)", taken, err)
	}
	release() // as its death does: the connection goes, and PostgreSQL notices that a moment later
	var taken []session.Session
	for deadline := time.Now().Add(10 * time.Second); len(taken) == 0 && time.Now().Before(deadline); {
		var err error
		if taken, err = b.db.TakeSessions(t.Context(), second, lease); err != nil {
			t.Fatal(err)
		}
	}
	if len(taken) != 1 || taken[0].ID != one.ID {
		t.Fatalf("want the session long before its lease of an hour is over, got %+v", taken)
	}
	if _, err := b.db.SetState(t.Context(), one.ID, second, session.Running, ""); err != nil {
		t.Error(err)
	}
}

func TestALiveServerShowsAgainThatItLivesAfterItsConnectionWasCut(t *testing.T) {
	b := newBench(t)
	server := uuid.New()
	hold(t, b.db, server)
	name := "vivarium server " + server.String()
	pid := value[int](t, b.url, "SELECT pid FROM pg_stat_activity WHERE application_name = $1", name)
	exec(t, b.url, "SELECT pg_terminate_backend($1)", pid)
	conn := connect(t, b.url)
	until(t, func() bool {
		var held bool
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
			WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = $1 AND a.pid <> $2)`, name, pid).Scan(&held)
		if err != nil {
			t.Fatal(err)
		}
		return held
	})
	var free bool
	if err := conn.QueryRow(t.Context(), "SELECT pg_try_advisory_lock($1)", postgres.ServerKey(server)).Scan(&free); err != nil || free {
		t.Errorf("want the lock held, got %v (%v)", free, err)
	}
}

// until waits for a condition.
func until(t testing.TB, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatal("the condition does not come about")
		case <-tick.C:
		}
	}
}

func TestReleasedLeasesAreTakenAtOnce(t *testing.T) {
	b := newBench(t)
	first, second := uuid.New(), uuid.New()
	hold(t, b.db, first) // still there, as a server is that stops gracefully
	one := b.start(first)
	if err := b.db.ReleaseLeases(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other := b.second()
	if taken, err := other.TakeSessions(t.Context(), second, lease); err != nil || len(taken) != 1 || taken[0].ID != one.ID {
		t.Errorf("want the session, got %+v (%v)", taken, err)
	}
}

func TestALeaseIsRenewedByTheDatabasesClock(t *testing.T) {
	b := newBench(t)
	server := uuid.New()
	b.start(server)
	for _, length := range []time.Duration{time.Minute, time.Hour} {
		if err := b.db.RenewLease(t.Context(), server, length); err != nil {
			t.Fatal(err)
		}
		left := value[float64](t, b.url, "SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 FROM sessions")
		if left > length.Seconds() || left < length.Seconds()-30 {
			t.Errorf("want about %v left, got %v s", length, left)
		}
	}
}

func TestTheBaseOfASession(t *testing.T) {
	b := newBench(t)
	server := uuid.New()
	one := b.start(server)
	h, _ := content("x")
	items := []workspace.BaseItem{
		{Path: "a", Kind: workspace.Folder},
		{Path: "a-b", Kind: workspace.File, Hash: h},
		{Path: "a/b", Kind: workspace.File, Hash: h, Executable: true},
		{Path: "a/c", Kind: workspace.Link, Target: "b"},
		{Path: "a0", Kind: workspace.File, Hash: h},
	}
	changes := []workspace.BaseChange{{BaseItem: workspace.BaseItem{Path: "a0"}, Forget: true}}
	for _, item := range items {
		changes = append(changes, workspace.BaseChange{BaseItem: item})
	}
	set := func(changes ...workspace.BaseChange) {
		t.Helper()
		if err := b.db.SetBase(t.Context(), one.ID, changes); err != nil {
			t.Fatal(err)
		}
	}
	want := func(paths []string, want ...workspace.BaseItem) {
		t.Helper()
		got, err := b.db.Base(t.Context(), one.ID, paths)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("want %+v, got %+v (%v)", want, got, err)
		}
	}
	set(changes...)
	want(nil, items...)
	want([]string{"a"}, items[0], items[2], items[3])
	want([]string{"a", "a/b", "nothing"}, items[0], items[2], items[3])
	changed := workspace.BaseItem{Path: "a-b", Kind: workspace.Link, Target: "t"}
	set(workspace.BaseChange{BaseItem: changed}, workspace.BaseChange{BaseItem: items[4]},
		workspace.BaseChange{BaseItem: workspace.BaseItem{Path: "a0"}, Forget: true})
	want(nil, items[0], changed, items[2], items[3])

	if _, err := b.db.SetState(t.Context(), one.ID, server, session.Ended, "Over."); err != nil {
		t.Fatal(err)
	}
	want(nil)
	wantKind(t, b.db.SetBase(t.Context(), one.ID, changes), fault.Conflict)
}

func TestQuotasBoundLiveSessionsAndStartsEvenWhenManyStartAtOnce(t *testing.T) {
	b := newBench(t)
	workspaces := make([]uuid.UUID, 6)
	for i := range workspaces {
		ws, err := b.db.CreateWorkspace(t.Context(), b.owner.ID, "w", nil, nil, workspace.Limits{Workspaces: 100})
		if err != nil {
			t.Fatal(err)
		}
		workspaces[i] = ws.ID
	}
	server := uuid.New()
	for name, c := range map[string]struct {
		quota session.Quota
		want  string
	}{
		"live sessions of a user": {session.Quota{PerUser: 2}, "user"},
		"live sessions in all":    {session.Quota{PerUser: 9, Total: 2}, "total"},
		"starts within a minute":  {session.Quota{StartsPerMinute: 2}, "starts"},
	} {
		var won atomic.Int32
		var wg sync.WaitGroup
		var mu sync.Mutex
		var live []uuid.UUID
		for _, ws := range workspaces {
			wg.Go(func() {
				one, err := b.db.CreateSession(t.Context(), uuid.New(), ws, b.owner.ID, server, lease, c.quota)
				over, isOver := errors.AsType[*session.Over](err)
				switch {
				case err == nil:
					won.Add(1)
					mu.Lock()
					live = append(live, one.ID)
					mu.Unlock()
				case !isOver || over.Quota != c.want || over.Bound != 2 || !fault.Is(err, fault.Exhausted):
					t.Errorf("%s: got %v", name, err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 2 {
			t.Errorf("%s: want 2 sessions, got %d", name, won.Load())
		}
		// The next case begins with no live session and none that was started lately.
		for _, id := range live {
			if _, err := b.db.SetState(t.Context(), id, server, session.Ended, "over"); err != nil {
				t.Fatal(err)
			}
		}
		exec(t, b.url, "UPDATE sessions SET created_at = created_at - interval '1 hour', ended_at = now()")
	}
}

func TestASessionsRecordIsKeptAndFenced(t *testing.T) {
	b := newBench(t)
	server := uuid.New()
	one := b.start(server)
	want := session.Record{CPU: 3 * time.Second, PeakMemory: 1 << 29, PeakProcess: 7, PeakDisk: 1 << 20, Notices: []session.Notice{
		{At: one.CreatedAt, Limit: "memory", Bound: 1 << 30, Peak: 1 << 30, Process: "analysis.py", Output: "line\n“quoted”", Text: "It was ended."}}}
	if err := b.db.SetRecord(t.Context(), one.ID, server, want); err != nil {
		t.Fatal(err)
	}
	wantKind(t, b.db.SetRecord(t.Context(), one.ID, uuid.New(), session.Record{}), fault.Conflict)
	ended, err := b.db.SetState(t.Context(), one.ID, server, session.Ended, "over")
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, b.db.SetRecord(t.Context(), one.ID, server, session.Record{}), fault.Conflict)
	last, err := b.db.LastSession(t.Context(), b.ws)
	if err != nil || !reflect.DeepEqual(last.Record, ended.Record) || len(last.Record.Notices) != 1 || !last.Record.Notices[0].At.Equal(want.Notices[0].At) {
		t.Fatalf("want the record of the ended session, got %+v (%v)", last.Record, err)
	}
	last.Record.Notices[0].At = want.Notices[0].At
	if !reflect.DeepEqual(last.Record, want) {
		t.Fatalf("want %+v, got %+v", want, last.Record)
	}
}
