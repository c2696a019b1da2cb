// Package auth is who is there: users, passwords, logins, and the principal that every request acts as. It must never keep
// or print a password or a token: the database holds argon2id hashes and SHA-256 sums.
package auth

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Principal is who a request acts as. The zero value is nobody.
type Principal struct {
	UserID   uuid.UUID
	Username string
	Admin    bool
	LoginID  uuid.UUID // the login that the request came with; zero for work that the server does on a user's behalf
}

// Anonymous reports whether the principal is nobody.
func (p Principal) Anonymous() bool { return p.UserID == uuid.Nil }

// User is a person's account.
type User struct {
	ID        uuid.UUID
	Username  string // as chosen; unique without regard to case
	Admin     bool
	Disabled  bool
	CreatedAt time.Time
}

// Login is an authenticated browser.
type Login struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	UserAgent string
	Address   string // of the client, without a port
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time // the absolute end; idleness may end it earlier
}

// TokenSum is the SHA-256 of a login token: what the database holds of it.
type TokenSum [32]byte

// Lifetime bounds a login, by the database's clock.
type Lifetime struct {
	Idle     time.Duration // without a request
	Absolute time.Duration // since it was made
}

// NewUser is an account to make.
type NewUser struct {
	Username     string
	PasswordHash string // PHC string, argon2id
	Admin        bool
	First        bool // Conflict unless there is no account at all; decided under a lock
}

// Store keeps accounts and logins. Each change is written with its audit event in one transaction.
type Store interface {
	// CreateUser makes an account; Conflict when the name is taken.
	CreateUser(ctx context.Context, u NewUser) (User, error)
	// UserByName finds an account without regard to case, with its password hash; NotFound.
	UserByName(ctx context.Context, name string) (User, string, error)
	// UserByID finds an account; NotFound.
	UserByID(ctx context.Context, id uuid.UUID) (User, error)
	// AnyUser reports whether there is an account.
	AnyUser(ctx context.Context) (bool, error)
	// SetPassword replaces the password hash and ends all logins of the user but keep (which may be zero).
	SetPassword(ctx context.Context, user uuid.UUID, hash string, keep uuid.UUID) error
	// CreateLogin makes a login; Unauthenticated when the account is disabled or gone.
	CreateLogin(ctx context.Context, l Login, token TokenSum, life Lifetime) (Login, error)
	// LoginByToken finds a login that has neither ended nor expired, with its user, who is not disabled; Unauthenticated
	// otherwise. It notes that the login was seen, at most once a minute.
	LoginByToken(ctx context.Context, token TokenSum, life Lifetime) (Login, User, error)
	// LoginAlive reports whether the login may still be used, by the same rules; it does not note that it was seen.
	LoginAlive(ctx context.Context, id uuid.UUID, life Lifetime) (bool, error)
	// DeleteLogin ends a login. It succeeds when there is none.
	DeleteLogin(ctx context.Context, id uuid.UUID) error
}
