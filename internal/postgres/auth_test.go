package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/postgrestest"
)

var life = auth.Lifetime{Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}

func newUser(t testing.TB, db *postgres.DB) auth.User {
	t.Helper()
	user, err := db.CreateUser(t.Context(), auth.NewUser{Username: "user-" + strings.ToLower(rand.Text()[:10]), PasswordHash: "$argon2id$test"})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

func newLogin(t testing.TB, db *postgres.DB, user uuid.UUID) (auth.Login, auth.TokenSum) {
	t.Helper()
	var sum auth.TokenSum
	rand.Read(sum[:])
	login, err := db.CreateLogin(t.Context(), auth.Login{UserID: user, UserAgent: "test\x1b[31m", Address: "192.0.2.1"}, sum, life)
	if err != nil {
		t.Fatal(err)
	}
	return login, sum
}

func wantKind(t testing.TB, err error, want fault.Kind) {
	t.Helper()
	if !fault.Is(err, want) {
		t.Fatalf("want a fault of kind %v, got %v", want, err)
	}
}

func TestAUsernameIsTakenWhateverItsCase(t *testing.T) {
	db := postgrestest.New(t)
	first, err := db.CreateUser(t.Context(), auth.NewUser{Username: "Grace", PasswordHash: "one", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.CreateUser(t.Context(), auth.NewUser{Username: "gRACE", PasswordHash: "two"})
	wantKind(t, err, fault.Conflict)
	found, hash, err := db.UserByName(t.Context(), "GRACE")
	if err != nil {
		t.Fatal(err)
	}
	if found != first || hash != "one" || !found.Admin {
		t.Errorf("want %+v, got %+v with hash %q", first, found, hash)
	}
	if found.CreatedAt.Location() != time.UTC || time.Since(found.CreatedAt).Abs() > time.Minute {
		t.Errorf("want a time of creation in UTC and of now, got %v", found.CreatedAt)
	}
	byID, err := db.UserByID(t.Context(), first.ID)
	if err != nil || byID != first {
		t.Errorf("want %+v, got %+v (%v)", first, byID, err)
	}
	for _, name := range []string{"nobody", "", "a\x00b", "\xff"} {
		_, _, err = db.UserByName(t.Context(), name)
		wantKind(t, err, fault.NotFound)
	}
	_, err = db.UserByID(t.Context(), uuid.New())
	wantKind(t, err, fault.NotFound)
}

func TestOnlyOneFirstAccountIsMade(t *testing.T) {
	db := postgrestest.New(t)
	if there, err := db.AnyUser(t.Context()); err != nil || there {
		t.Fatalf("want no account, got %v (%v)", there, err)
	}
	var made, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := db.CreateUser(t.Context(), auth.NewUser{Username: fmt.Sprint("admin", i), PasswordHash: "x", Admin: true, First: true})
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
		t.Errorf("want 1 account and 19 conflicts, got %d and %d", made.Load(), refused.Load())
	}
	if there, err := db.AnyUser(t.Context()); err != nil || !there {
		t.Errorf("want an account, got %v (%v)", there, err)
	}
}

func TestALoginIsFoundByItsToken(t *testing.T) {
	db := postgrestest.New(t)
	user := newUser(t, db)
	login, sum := newLogin(t, db, user.ID)
	got, who, err := db.LoginByToken(t.Context(), sum, life)
	if err != nil {
		t.Fatal(err)
	}
	if got != login || who != user {
		t.Errorf("want %+v of %+v, got %+v of %+v", login, user, got, who)
	}
	if login.UserAgent != "test [31m" {
		t.Errorf("want the escape character taken out, got %q", login.UserAgent)
	}
	if want := login.CreatedAt.Add(life.Absolute); !login.ExpiresAt.Equal(want) {
		t.Errorf("want the end at %v, got %v", want, login.ExpiresAt)
	}
	_, _, err = db.LoginByToken(t.Context(), auth.TokenSum{1}, life)
	wantKind(t, err, fault.Unauthenticated)
}

func TestA6_ALoginEndsByIdlenessAndByAgeAndStaysDead(t *testing.T) {
	for _, c := range []struct{ name, update string }{
		{"idle", "UPDATE logins SET seen_at = now() - interval '15 days'"},
		{"old, though seen just now", "UPDATE logins SET created_at = now() - interval '91 days', seen_at = now()"},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, url := postgrestest.NewURL(t)
			user := newUser(t, db)
			login, sum := newLogin(t, db, user.ID)
			exec(t, url, c.update)
			alive, err := db.LoginAlive(t.Context(), login.ID, life)
			if err != nil || alive {
				t.Fatalf("want a dead login, got %v (%v)", alive, err)
			}
			// The database's clock steps back: what was found dead stays dead.
			exec(t, url, "UPDATE logins SET created_at = now(), seen_at = now()")
			_, _, err = db.LoginByToken(t.Context(), sum, life)
			wantKind(t, err, fault.Unauthenticated)
		})
	}
}

func TestALoginIsNotedAsSeenOnceAMinute(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	_, sum := newLogin(t, db, newUser(t, db).ID)
	seen := func() time.Time {
		t.Helper()
		login, _, err := db.LoginByToken(t.Context(), sum, life)
		if err != nil {
			t.Fatal(err)
		}
		return login.SeenAt
	}
	first := seen()
	if again := seen(); !again.Equal(first) {
		t.Errorf("want no note within the minute, got %v after %v", again, first)
	}
	exec(t, url, "UPDATE logins SET seen_at = now() - interval '2 minutes'")
	seen() // notes it
	if noted := seen(); time.Since(noted).Abs() > time.Minute {
		t.Errorf("want it seen just now, got %v", noted)
	}
}

func TestA5_WhatEndsLogins(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(t *testing.T, db *postgres.DB, url string, l auth.Login)
	}{
		{"logout", func(t *testing.T, db *postgres.DB, _ string, l auth.Login) {
			for range 2 { // it succeeds when there is none
				if err := db.DeleteLogin(t.Context(), l.ID); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a disabled account", func(t *testing.T, _ *postgres.DB, url string, _ auth.Login) {
			exec(t, url, "UPDATE users SET disabled = true")
		}},
		{"a changed password", func(t *testing.T, db *postgres.DB, _ string, l auth.Login) {
			if err := db.SetPassword(t.Context(), l.UserID, "new", uuid.Nil); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, url := postgrestest.NewURL(t)
			login, sum := newLogin(t, db, newUser(t, db).ID)
			if alive, err := db.LoginAlive(t.Context(), login.ID, life); err != nil || !alive {
				t.Fatalf("want a living login, got %v (%v)", alive, err)
			}
			c.end(t, db, url, login)
			if alive, err := db.LoginAlive(t.Context(), login.ID, life); err != nil || alive {
				t.Errorf("want a dead login, got %v (%v)", alive, err)
			}
			_, _, err := db.LoginByToken(t.Context(), sum, life)
			wantKind(t, err, fault.Unauthenticated)
		})
	}
}

func TestAPasswordChangeKeepsTheLoginThatMadeIt(t *testing.T) {
	db := postgrestest.New(t)
	user := newUser(t, db)
	kept, _ := newLogin(t, db, user.ID)
	other, _ := newLogin(t, db, user.ID)
	stranger, _ := newLogin(t, db, newUser(t, db).ID)
	if err := db.SetPassword(t.Context(), user.ID, "new", kept.ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		login auth.Login
		want  bool
	}{{kept, true}, {other, false}, {stranger, true}} {
		if alive, err := db.LoginAlive(t.Context(), c.login.ID, life); err != nil || alive != c.want {
			t.Errorf("want %v, got %v (%v)", c.want, alive, err)
		}
	}
	if _, hash, err := db.UserByName(t.Context(), user.Username); err != nil || hash != "new" {
		t.Errorf("want the new hash, got %q (%v)", hash, err)
	}
	wantKind(t, db.SetPassword(t.Context(), uuid.New(), "new", uuid.Nil), fault.NotFound)
}

func TestNobodyLogsInToADisabledAccount(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	user := newUser(t, db)
	exec(t, url, "UPDATE users SET disabled = true")
	for _, id := range []uuid.UUID{user.ID, uuid.New()} {
		_, err := db.CreateLogin(t.Context(), auth.Login{UserID: id}, auth.TokenSum{1}, life)
		wantKind(t, err, fault.Unauthenticated)
	}
}

func TestALostCallerLearnsThatItsTimeIsOver(t *testing.T) {
	db := postgrestest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.AnyUser(ctx)
	wantKind(t, err, fault.Timeout)
}
