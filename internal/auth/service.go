package auth

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"vivarium/internal/fault"
)

// Config is what a Service works with. Every field but Registration must be set.
type Config struct {
	Store        Store
	Registration bool // anybody may make an account
	Life         Lifetime
	Log          *slog.Logger
}

// Service makes accounts and logins, and says who a token belongs to.
type Service struct {
	cfg      Config
	hasher   *hasher
	throttle *throttle

	setupMu  sync.Mutex
	setupSum TokenSum // of the setup token; zero when there is none
}

// New returns a Service.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, hasher: newHasher(), throttle: newThrottle()}
}

// RegistrationOpen reports whether anybody may make an account.
func (s *Service) RegistrationOpen() bool { return s.cfg.Registration }

// Register makes an account and logs it in. Forbidden when registration is closed, Invalid on "username" or "password",
// Conflict when the name is taken.
func (s *Service) Register(ctx context.Context, username, password, userAgent, address string) (User, Token, error) {
	if !s.cfg.Registration {
		return User{}, "", fault.New(fault.Forbidden, "Accounts are made by an administrator here.")
	}
	user, err := s.create(ctx, NewUser{Username: username}, password)
	if err != nil {
		return User{}, "", err
	}
	s.cfg.Log.InfoContext(ctx, "account registered", "user", user.ID)
	return s.begin(ctx, user, userAgent, address)
}

// errLogin is the one answer to a login that fails, whatever the reason.
func errLogin() error {
	return fault.New(fault.Unauthenticated, "The username or the password is wrong.")
}

// Login logs a user in. Unauthenticated, with one message and after the same time, for a missing account, a wrong password and a
// disabled account; Exhausted after too many of those, or when too many passwords are being checked.
func (s *Service) Login(ctx context.Context, username, password, userAgent, address string) (User, Token, error) {
	if len(password) > MaxPasswordBytes {
		return User{}, "", errLogin() // nobody's password, so that this tells nothing
	}
	if len(username) > MaxUsernameBytes {
		username = "" // nobody's name; long ones must not fill the throttle's memory
	}
	var user User
	err := s.throttle.do(ctx, loginKeys(username, address), func() (bool, error) {
		var err error
		user, err = s.check(ctx, username, password)
		return fault.Is(err, fault.Unauthenticated), err
	})
	if err != nil {
		return User{}, "", err
	}
	user, token, err := s.begin(ctx, user, userAgent, address)
	if fault.Is(err, fault.Unauthenticated) { // disabled since it was checked
		err = errLogin()
	}
	return user, token, err
}

// check returns the user whose name and password these are.
func (s *Service) check(ctx context.Context, username, password string) (User, error) {
	user, phc, found := User{}, s.hasher.dummy, false
	if ValidateUsername(username) == nil {
		u, stored, err := s.cfg.Store.UserByName(ctx, username)
		switch {
		case err == nil:
			user, phc, found = u, stored, true
		case !fault.Is(err, fault.NotFound):
			return User{}, err
		}
	}
	right, err := s.hasher.verify(ctx, password, phc)
	if err != nil {
		return User{}, err
	}
	if !right || !found || user.Disabled {
		return User{}, errLogin()
	}
	return user, nil
}

// begin makes a login.
func (s *Service) begin(ctx context.Context, user User, userAgent, address string) (User, Token, error) {
	token := newToken()
	login := Login{ID: newID(), UserID: user.ID, UserAgent: printable(userAgent, 512), Address: printable(address, 64)}
	if _, err := s.cfg.Store.CreateLogin(ctx, login, SumOf(token), s.cfg.Life); err != nil {
		return User{}, "", err
	}
	return user, token, nil
}

// newID returns a UUID of version 7, which sorts by time.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// printable makes what a client says of itself fit to store and to show: no control characters, valid UTF-8, a bounded length.
func printable(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s[:min(len(s), 4*limit)], ""))
	for len(s) > limit {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// Authenticate returns who a token belongs to; Unauthenticated when it is none, has ended or has expired.
func (s *Service) Authenticate(ctx context.Context, token Token) (Principal, error) {
	if !token.plausible() {
		return Principal{}, fault.New(fault.Unauthenticated, "Log in first.")
	}
	login, user, err := s.cfg.Store.LoginByToken(ctx, SumOf(token), s.cfg.Life)
	if err != nil {
		return Principal{}, err
	}
	return Principal{UserID: user.ID, Username: user.Username, Admin: user.Admin, LoginID: login.ID}, nil
}

// Alive reports whether the principal's login may still be used. Open sockets ask it again and again.
func (s *Service) Alive(ctx context.Context, p Principal) (bool, error) {
	if p.Anonymous() || p.LoginID == uuid.Nil {
		return false, nil
	}
	return s.cfg.Store.LoginAlive(ctx, p.LoginID, s.cfg.Life)
}

// Logout ends the principal's login. It succeeds when it has ended already.
func (s *Service) Logout(ctx context.Context, p Principal) error {
	if p.LoginID == uuid.Nil {
		return nil
	}
	return s.cfg.Store.DeleteLogin(ctx, p.LoginID)
}

// Me returns the principal's account.
func (s *Service) Me(ctx context.Context, p Principal) (User, error) {
	if p.Anonymous() {
		return User{}, fault.New(fault.Unauthenticated, "Log in first.")
	}
	return s.cfg.Store.UserByID(ctx, p.UserID)
}
