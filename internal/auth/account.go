package auth

import (
	"context"
	"crypto/subtle"
	"strings"

	"vivarium/internal/fault"
)

// create makes an account. The password is hashed before the store says whether the name is free, so that the time tells nothing
// that the answer does not.
func (s *Service) create(ctx context.Context, u NewUser, password string) (User, error) {
	if err := ValidateUsername(u.Username); err != nil {
		return User{}, err
	}
	if err := ValidatePassword(password, u.Username); err != nil {
		return User{}, err
	}
	phc, err := s.hasher.hash(ctx, password)
	if err != nil {
		return User{}, err
	}
	u.PasswordHash = phc
	return s.cfg.Store.CreateUser(ctx, u)
}

// SetupNeeded reports whether there is no account yet.
func (s *Service) SetupNeeded(ctx context.Context) (bool, error) {
	any, err := s.cfg.Store.AnyUser(ctx)
	return !any, err
}

// SetupToken returns a new one-time token for making the first account, and voids the one before; it returns "" when there is
// an account. Only its sum is kept, in memory: after a restart there is a new one.
func (s *Service) SetupToken(ctx context.Context) (string, error) {
	needed, err := s.SetupNeeded(ctx)
	if err != nil || !needed {
		return "", err
	}
	secret := newSecret()
	s.setupMu.Lock()
	defer s.setupMu.Unlock()
	s.setupSum = SumOf(Token(secret))
	return secret, nil
}

// Setup makes the first account, an administrator's, and logs it in. Forbidden when the token is wrong or used, Invalid on
// "username" or "password", after which the token may be used again.
func (s *Service) Setup(ctx context.Context, token, username, password, userAgent, address string) (User, Token, error) {
	s.setupMu.Lock()
	want := s.setupSum
	s.setupMu.Unlock()
	got := SumOf(Token(token))
	if want == (TokenSum{}) || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return User{}, "", errSetup()
	}
	// Two that have the token may both come this far; the store lets only one of them make a first account.
	user, err := s.create(ctx, NewUser{Username: username, Admin: true, First: true}, password)
	if fault.Is(err, fault.Conflict) {
		return User{}, "", errSetup()
	}
	if err != nil {
		return User{}, "", err
	}
	s.setupMu.Lock()
	s.setupSum = TokenSum{}
	s.setupMu.Unlock()
	s.cfg.Log.InfoContext(ctx, "first account made", "user", user.ID)
	return s.begin(ctx, user, userAgent, address)
}

func errSetup() error {
	return fault.New(fault.Forbidden, "This setup link is not valid any more. The server prints a new one at its start, while there is "+
		"no account.")
}

// CreateUser makes an account without a login, for an administrator at the server's command line.
func (s *Service) CreateUser(ctx context.Context, username, password string, admin bool) (User, error) {
	return s.create(ctx, NewUser{Username: username, Admin: admin}, password)
}

// ChangePassword replaces the principal's password and ends all of the user's logins but this one. Invalid on "current" when
// that is wrong, on "next" when the new one may not be; Exhausted after too many wrong ones.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next string) error {
	user, err := s.Me(ctx, p)
	if err != nil {
		return err
	}
	if err := ValidatePassword(next, user.Username); err != nil {
		if f, ok := err.(*fault.Error); ok {
			return f.On("next")
		}
		return err
	}
	err = s.throttle.do(ctx, passwordKeys(user.ID.String()), func() (miss bool, err error) {
		right, err := s.right(ctx, user, current)
		if err == nil && !right {
			return true, fault.New(fault.Invalid, "This is not your current password.").On("current")
		}
		return false, err
	})
	if err != nil {
		return err
	}
	phc, err := s.hasher.hash(ctx, next)
	if err != nil {
		return err
	}
	return s.cfg.Store.SetPassword(ctx, user.ID, phc, p.LoginID)
}

func (s *Service) right(ctx context.Context, user User, password string) (bool, error) {
	if len(password) > MaxPasswordBytes {
		return false, nil
	}
	found, phc, err := s.cfg.Store.UserByName(ctx, user.Username)
	if err != nil {
		return false, err
	}
	if found.ID != user.ID { // renamed, and the name given to another, since it was read
		return false, fault.New(fault.Conflict, "The account was changed in the meantime. Try again.")
	}
	return s.hasher.verify(ctx, password, phc)
}

// ResetPassword replaces a user's password and ends all of the user's logins, for an administrator at the server's command
// line. NotFound.
func (s *Service) ResetPassword(ctx context.Context, username, password string) error {
	user, _, err := s.cfg.Store.UserByName(ctx, strings.TrimSpace(username))
	if err != nil {
		return err
	}
	if err := ValidatePassword(password, user.Username); err != nil {
		return err
	}
	phc, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	return s.cfg.Store.SetPassword(ctx, user.ID, phc, [16]byte{})
}
