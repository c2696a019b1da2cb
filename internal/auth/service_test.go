package auth_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/postgrestest"
)

var testLife = auth.Lifetime{Idle: time.Hour, Absolute: 24 * time.Hour}

const (
	goodPassword  = "a fine long phrase"
	otherPassword = "another fine phrase"
)

// bench is a Service on a database of its own, and all that it logs.
type bench struct {
	*auth.Service
	store auth.Store
	url   string // of the database
	log   *bytes.Buffer
}

func newBench(t testing.TB) *bench {
	t.Helper()
	db, url := postgrestest.NewURL(t)
	b := &bench{store: db, url: url, log: &bytes.Buffer{}}
	b.Service = auth.New(auth.Config{Store: b.store, Registration: true, Life: testLife, Log: slog.New(slog.NewTextHandler(b.log, nil))})
	return b
}

// address returns another one each time, so that the throttle does not matter.
func address() string {
	n := rand.Uint32()
	return fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n))
}

func (b *bench) register(t testing.TB, name string) (auth.User, auth.Token) {
	t.Helper()
	user, token, err := b.Register(t.Context(), name, goodPassword, "test", address())
	if err != nil {
		t.Fatal(err)
	}
	return user, token
}

func (b *bench) login(t testing.TB, name, password string) error {
	t.Helper()
	_, _, err := b.Login(t.Context(), name, password, "test", address())
	return err
}

func TestARegisteredUserIsLoggedInUntilLoggingOut(t *testing.T) {
	b := newBench(t)
	user, token := b.register(t, "Ada")
	p, err := b.Authenticate(t.Context(), token)
	if err != nil || p.UserID != user.ID || p.Username != "Ada" || p.Admin || p.LoginID == uuid.Nil {
		t.Fatalf("got %+v, %v", p, err)
	}
	if me, err := b.Me(t.Context(), p); err != nil || me.ID != user.ID {
		t.Fatalf("got %+v, %v", me, err)
	}
	alive := func(want bool) {
		t.Helper()
		if got, err := b.Alive(t.Context(), p); err != nil || got != want {
			t.Fatalf("want alive %v, got %v, %v", want, got, err)
		}
	}
	alive(true)
	for range 2 {
		if err := b.Logout(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	alive(false)
	if _, err := b.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
		t.Fatalf("want Unauthenticated, got %v", err)
	}
	if alive, err := b.Alive(t.Context(), auth.Principal{}); err != nil || alive {
		t.Fatalf("nobody is alive: %v", err)
	}
	for _, none := range []auth.Token{"", "vl_", auth.Token(strings.ToUpper(token.Reveal())), token[:len(token)-1], "vl_\x00"} {
		if p, err := b.Authenticate(t.Context(), none); !fault.Is(err, fault.Unauthenticated) || !p.Anonymous() {
			t.Errorf("want Unauthenticated, got %+v, %v", p, err)
		}
	}
}

func TestA1_APasswordIsKeptAsAHashOnly(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"one", "two"} {
		b.register(t, name)
	}
	_, first, err := b.store.UserByName(t.Context(), "ONE")
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := b.store.UserByName(t.Context(), "two")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(first, "$argon2id$v=19$m=47104,t=1,p=1$") || first == second || strings.Contains(first, goodPassword) {
		t.Errorf("got %s and %s", first, second)
	}
	if err := b.login(t, "oNe", goodPassword); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{otherPassword, goodPassword + " ", " " + goodPassword, strings.ToUpper(goodPassword), "",
		strings.Repeat("a", 1<<20)} {
		if err := b.login(t, "one", wrong); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("want Unauthenticated, got %v", err)
		}
	}
	if strings.Contains(b.log.String(), goodPassword) {
		t.Error("the log has the password")
	}
}

func TestWhoRegistersIsToldWhatIsWrong(t *testing.T) {
	b := newBench(t)
	b.register(t, "Ada")
	for _, c := range []struct {
		name, username, password, field string
		kind                            fault.Kind
	}{
		{"a taken name in other case", "aDA", goodPassword, "username", fault.Conflict},
		{"no name", "", goodPassword, "username", fault.Invalid},
		{"a name in other letters", "Аda", goodPassword, "username", fault.Invalid},
		{"a short password", "new", "kx7vqmp", "password", fault.Invalid},
		{"a common password", "new", "Password123!", "password", fault.Invalid},
		{"the name as password", "longenough", "LongEnough", "password", fault.Invalid},
	} {
		_, token, err := b.Register(t.Context(), c.username, c.password, "test", address())
		f, _ := errors.AsType[*fault.Error](err)
		if f == nil || f.Kind != c.kind || f.Field != c.field || token != "" {
			t.Errorf("%s: want %v on %s, got %v", c.name, c.kind, c.field, err)
		}
	}
	closed := auth.New(auth.Config{Store: b.store, Life: testLife, Log: slog.New(slog.DiscardHandler)})
	_, _, err := closed.Register(t.Context(), "new", goodPassword, "test", address())
	if !fault.Is(err, fault.Forbidden) || closed.RegistrationOpen() {
		t.Errorf("want Forbidden when closed, got %v", err)
	}
	if _, _, err := b.store.UserByName(t.Context(), "new"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an account was made: %v", err)
	}
}

func TestTheFirstAccountIsMadeOnceThroughTheNewestLink(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	forbidden := func(name, token string) {
		t.Helper()
		if _, _, err := b.Setup(ctx, token, "intruder", goodPassword, "test", address()); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: want Forbidden, got %v", name, err)
		}
	}
	forbidden("before there is a link", "")
	old, err := b.SetupToken(ctx)
	if err != nil || len(old) < 43 {
		t.Fatalf("want a token, got %q, %v", old, err)
	}
	token, err := b.SetupToken(ctx)
	if err != nil || token == old {
		t.Fatalf("want a new token, got %v", err)
	}
	forbidden("the link before", old)
	forbidden("no token", "")
	forbidden("another token", token+"x")
	if _, _, err := b.Setup(ctx, token, "root", "short", "test", address()); !fault.Is(err, fault.Invalid) {
		t.Errorf("want Invalid, got %v", err)
	}
	if needed, err := b.SetupNeeded(ctx); err != nil || !needed {
		t.Errorf("want setup needed, got %v, %v", needed, err)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for n := range 5 {
		wg.Go(func() {
			user, login, err := b.Setup(ctx, token, fmt.Sprint("root", n), goodPassword, "test", address())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
				if p, err := b.Authenticate(ctx, login); err != nil || !p.Admin || !user.Admin {
					t.Errorf("want an administrator who is logged in, got %+v, %v", p, err)
				}
			case !fault.Is(err, fault.Forbidden):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 {
		t.Fatalf("want one first account, got %d", made)
	}
	forbidden("a used link", token)
	if token, err := b.SetupToken(ctx); err != nil || token != "" {
		t.Errorf("want no link once there is an account, got %d bytes, %v", len(token), err)
	}
	if needed, err := b.SetupNeeded(ctx); err != nil || needed {
		t.Errorf("want no setup needed, got %v, %v", needed, err)
	}
}

func TestChangingAPasswordEndsTheOtherLogins(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	_, here := b.register(t, "ada")
	_, elsewhere, err := b.Login(ctx, "ada", goodPassword, "test", address())
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Authenticate(ctx, here)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ current, next, field string }{
		{otherPassword, otherPassword, "current"}, {goodPassword, "short", "next"}, {strings.Repeat("x", 2000), otherPassword, "current"},
	} {
		f, _ := errors.AsType[*fault.Error](b.ChangePassword(ctx, p, c.current, c.next))
		if f == nil || f.Kind != fault.Invalid || f.Field != c.field {
			t.Errorf("want Invalid on %s, got %v", c.field, f)
		}
	}
	if err := b.ChangePassword(ctx, p, goodPassword, otherPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(ctx, here); err != nil {
		t.Errorf("this login has ended: %v", err)
	}
	if _, err := b.Authenticate(ctx, elsewhere); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the other login has not ended: %v", err)
	}
	if err := b.login(t, "ada", goodPassword); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("the old password: want Unauthenticated, got %v", err)
	}

	if err := b.ResetPassword(ctx, "ADA", goodPassword); err != nil {
		t.Fatal(err)
	}
	if alive, err := b.Alive(ctx, p); err != nil || alive {
		t.Errorf("a login outlived the reset: %v", err)
	}
	if err := b.login(t, "ada", goodPassword); err != nil {
		t.Error(err)
	}
	if err := b.ResetPassword(ctx, "nobody", goodPassword); !fault.Is(err, fault.NotFound) {
		t.Errorf("want NotFound, got %v", err)
	}
}

func TestA2_GuessingThePasswordOfALoginIsRefused(t *testing.T) {
	b := newBench(t)
	_, token := b.register(t, "ada")
	p, err := b.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if err := b.ChangePassword(t.Context(), p, "wrong guess", otherPassword); !fault.Is(err, fault.Invalid) {
			t.Fatalf("want Invalid, got %v", err)
		}
	}
	if err := b.ChangePassword(t.Context(), p, goodPassword, otherPassword); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("want Exhausted, got %v", err)
	}
}

func TestA2_AGuesserIsRefusedAndTheOwnerElsewhereIsNot(t *testing.T) {
	b := newBench(t)
	b.register(t, "ada")
	var wg sync.WaitGroup
	var mu sync.Mutex
	tried, refused := 0, 0
	for range 30 {
		wg.Go(func() {
			_, _, err := b.Login(t.Context(), "ada", otherPassword, "test", "192.0.2.1")
			mu.Lock()
			defer mu.Unlock()
			f, _ := errors.AsType[*fault.Error](err)
			switch {
			case f != nil && f.Kind == fault.Unauthenticated:
				tried++
			case f != nil && f.Kind == fault.Exhausted && f.RetryAfter > 0:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tried > 10 || tried+refused != 30 {
		t.Errorf("want at most 10 of 30 tried, got %d and %d", tried, refused)
	}
	if _, _, err := b.Login(t.Context(), "ada", goodPassword, "test", "192.0.2.2"); err != nil {
		t.Errorf("the owner is refused: %v", err)
	}
}

func (b *bench) disable(t testing.TB, user auth.User) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if tag, err := conn.Exec(t.Context(), "UPDATE users SET disabled = true WHERE id = $1", user.ID); err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("cannot disable: %v", err)
	}
}

// Each answer is made with one hash, so that their times differ only by noise: a missing hash would be a factor of a hundred.
func TestA3_ALoginThatFailsTellsNotWhy(t *testing.T) {
	b := newBench(t)
	b.register(t, "there")
	disabled, token := b.register(t, "disabled")
	b.disable(t, disabled)
	if _, err := b.Authenticate(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a disabled account is still logged in: %v", err)
	}
	names := []string{"there", "missing", "disabled", "no name at all"}
	times := map[string][]time.Duration{}
	for range 9 {
		for _, name := range names {
			password := otherPassword
			if name == "disabled" {
				password = goodPassword
			}
			begun := time.Now()
			err := b.login(t, name, password)
			times[name] = append(times[name], time.Since(begun))
			if !fault.Is(err, fault.Unauthenticated) || err.Error() != "The username or the password is wrong." {
				t.Fatalf("%s: got %v", name, err)
			}
		}
	}
	median := func(name string) time.Duration {
		slices.Sort(times[name])
		return times[name][len(times[name])/2]
	}
	want := median("there")
	for _, name := range names[1:] {
		if got := median(name); got < want/3 || got > 3*want {
			t.Errorf("%q takes %v, an account that exists %v", name, got, want)
		}
	}
}

func TestA4_TheDatabaseHoldsNoToken(t *testing.T) {
	b := newBench(t)
	_, token := b.register(t, "ada")
	login, _, err := b.store.LoginByToken(t.Context(), auth.SumOf(token), testLife)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprintf("%+v", login), token.Reveal()) || strings.Contains(b.log.String(), token.Reveal()) {
		t.Error("the token is in the row or in the log")
	}
	if login.ExpiresAt.Sub(login.CreatedAt) != testLife.Absolute {
		t.Errorf("want an end after %v, got %+v", testLife.Absolute, login)
	}
}

func TestWhatABrowserSaysOfItselfIsMadeFitToShow(t *testing.T) {
	b := newBench(t)
	b.register(t, "ada")
	_, token, err := b.Login(t.Context(), "ada", goodPassword, "Evil\x00\x1b[31m\n\xff\u202e"+strings.Repeat("é", 10_000), address())
	if err != nil {
		t.Fatal(err)
	}
	login, _, err := b.store.LoginByToken(t.Context(), auth.SumOf(token), testLife)
	if err != nil || !strings.HasPrefix(login.UserAgent, "Evil[31mé") || len(login.UserAgent) > 512 {
		t.Errorf("got %q, %v", login.UserAgent, err)
	}
}

func TestTheCommandLineMakesAccounts(t *testing.T) {
	b := newBench(t)
	user, err := b.CreateUser(t.Context(), "boss", goodPassword, true)
	if err != nil || !user.Admin || user.Disabled {
		t.Fatalf("got %+v, %v", user, err)
	}
	if err := b.login(t, "boss", goodPassword); err != nil {
		t.Error(err)
	}
	if _, err := b.CreateUser(t.Context(), "BOSS", goodPassword, false); !fault.Is(err, fault.Conflict) {
		t.Errorf("want Conflict, got %v", err)
	}
}
