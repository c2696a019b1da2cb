package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/audit"
	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
)

// Bounds of what a client says about itself; longer text is cut.
const (
	maxUserAgent = 512
	maxAddress   = 64
)

// nameKey folds a username: names that differ only in case are one. Usernames are ASCII, see auth.ValidateUsername.
func nameKey(name string) string { return strings.ToLower(name) }

// CreateUser implements auth.Store.
func (db *DB) CreateUser(ctx context.Context, u auth.NewUser) (auth.User, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return auth.User{}, err
	}
	var user auth.User
	err = db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		if u.First {
			if err := t.LockAccounts(ctx); err != nil {
				return err
			}
			any, err := t.AnyUser(ctx)
			if err != nil {
				return err
			}
			if any {
				return fault.New(fault.Conflict, "There is an account already.")
			}
		}
		row, err := t.InsertUser(ctx, sqlcgen.InsertUserParams{ID: id, Username: u.Username, UsernameKey: nameKey(u.Username),
			PasswordHash: u.PasswordHash, Admin: u.Admin})
		if violates(err, "users_username_key_key") {
			return fault.Wrap(err, fault.Conflict, "This username is taken.").On("username")
		}
		if err != nil {
			return err
		}
		user = userOf(row)
		return t.audit(ctx, audit.Event{Action: "user.create", Object: "user:" + id.String(),
			Detail: map[string]string{"username": u.Username, "admin": strconv.FormatBool(u.Admin)}})
	})
	return user, err
}

// UserByName implements auth.Store.
func (db *DB) UserByName(ctx context.Context, name string) (auth.User, string, error) {
	// A name that PostgreSQL could not even compare is nobody's.
	if strings.ContainsRune(name, 0) || strings.ToValidUTF8(name, "") != name {
		return auth.User{}, "", fault.New(fault.NotFound, "No such account.")
	}
	var row sqlcgen.User
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.UserByKey(ctx, nameKey(name))
		return found(err, "No such account.")
	})
	return userOf(row), row.PasswordHash, err
}

// Users returns every account, ordered by name without regard to case.
func (db *DB) Users(ctx context.Context) ([]auth.User, error) {
	var users []auth.User
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Users(ctx)
		users = nil
		for _, row := range rows {
			users = append(users, userOf(row))
		}
		return err
	})
	return users, err
}

// UserByID implements auth.Store.
func (db *DB) UserByID(ctx context.Context, id uuid.UUID) (auth.User, error) {
	var row sqlcgen.User
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.UserByID(ctx, id)
		return found(err, "No such account.")
	})
	return userOf(row), err
}

// AnyUser implements auth.Store.
func (db *DB) AnyUser(ctx context.Context) (bool, error) {
	var any bool
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		any, err = q.AnyUser(ctx)
		return err
	})
	return any, err
}

// SetPassword implements auth.Store.
func (db *DB) SetPassword(ctx context.Context, user uuid.UUID, hash string, keep uuid.UUID) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		n, err := t.SetPasswordHash(ctx, sqlcgen.SetPasswordHashParams{ID: user, PasswordHash: hash})
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.NotFound, "No such account.")
		}
		ended, err := t.DeleteOtherLogins(ctx, sqlcgen.DeleteOtherLoginsParams{UserID: user, Keep: keep})
		if err != nil {
			return err
		}
		event := audit.Event{Action: "password.change", Object: "user:" + user.String(),
			Detail: map[string]string{"loginsEnded": strconv.FormatInt(ended, 10)}}
		if keep != uuid.Nil {
			event.Actor = user // from a login of their own; without one it was the command line
		}
		return t.audit(ctx, event)
	})
}

// CreateLogin implements auth.Store.
func (db *DB) CreateLogin(ctx context.Context, l auth.Login, token auth.TokenSum, life auth.Lifetime) (auth.Login, error) {
	if l.ID == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return auth.Login{}, err
		}
		l.ID = id
	}
	var login auth.Login
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		row, err := t.InsertLogin(ctx, sqlcgen.InsertLoginParams{ID: l.ID, UserID: l.UserID, TokenHash: token[:],
			UserAgent: plain(l.UserAgent, maxUserAgent), Address: plain(l.Address, maxAddress)})
		if errors.Is(err, pgx.ErrNoRows) {
			return fault.New(fault.Unauthenticated, "This account cannot log in.")
		}
		if err != nil {
			return err
		}
		login = loginOf(row, life)
		return t.audit(ctx, audit.Event{Actor: l.UserID, Action: "login.create", Object: "login:" + l.ID.String()})
	})
	return login, err
}

func noLogin() error {
	return fault.New(fault.Unauthenticated, "You are not logged in, or your login has ended.")
}

// LoginByToken implements auth.Store.
func (db *DB) LoginByToken(ctx context.Context, token auth.TokenSum, life auth.Lifetime) (auth.Login, auth.User, error) {
	var row sqlcgen.LoginByTokenRow
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.LoginByToken(ctx, sqlcgen.LoginByTokenParams{TokenHash: token[:], Idle: life.Idle, Absolute: life.Absolute})
		if errors.Is(err, pgx.ErrNoRows) {
			return noLogin()
		}
		return err
	})
	if err != nil {
		return auth.Login{}, auth.User{}, err
	}
	if !row.Alive {
		if err := db.expire(ctx, row.Login.ID); err != nil {
			return auth.Login{}, auth.User{}, err
		}
		return auth.Login{}, auth.User{}, noLogin()
	}
	if row.Stale {
		err := db.bounded(ctx, ordinaryLimit, func(ctx context.Context) error {
			return db.once(ctx, func(ctx context.Context, q *sqlcgen.Queries) error { return q.TouchLogin(ctx, row.Login.ID) })
		})
		if err != nil {
			// The login may then end too early, never too late; a full disk must not lock everybody out of reading.
			db.log.Warn("cannot note that a login was seen", "login", row.Login.ID, "err", err)
		}
	}
	return loginOf(row.Login, life), userOf(row.User), nil
}

// LoginAlive implements auth.Store.
func (db *DB) LoginAlive(ctx context.Context, id uuid.UUID, life auth.Lifetime) (bool, error) {
	var alive, there bool
	err := db.read(ctx, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		alive, err = q.LoginAlive(ctx, sqlcgen.LoginAliveParams{ID: id, Idle: life.Idle, Absolute: life.Absolute})
		there = err == nil
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if there && !alive {
		return false, db.expire(ctx, id)
	}
	return alive, nil
}

// expire deletes a login that was found to have expired, so that a clock that is put back does not revive it.
func (db *DB) expire(ctx context.Context, id uuid.UUID) error {
	return db.endLogin(ctx, id, "expired")
}

// DeleteLogin implements auth.Store.
func (db *DB) DeleteLogin(ctx context.Context, id uuid.UUID) error {
	return db.endLogin(ctx, id, "logout")
}

func (db *DB) endLogin(ctx context.Context, id uuid.UUID, why string) error {
	return db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		user, err := t.DeleteLogin(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		return t.audit(ctx, audit.Event{Actor: user, Action: "login.end", Object: "login:" + id.String(),
			Detail: map[string]string{"why": why}})
	})
}

func userOf(row sqlcgen.User) auth.User {
	return auth.User{ID: row.ID, Username: row.Username, Admin: row.Admin, Disabled: row.Disabled, CreatedAt: row.CreatedAt}
}

func loginOf(row sqlcgen.Login, life auth.Lifetime) auth.Login {
	return auth.Login{ID: row.ID, UserID: row.UserID, UserAgent: row.UserAgent, Address: row.Address, CreatedAt: row.CreatedAt,
		SeenAt: row.SeenAt, ExpiresAt: row.CreatedAt.Add(life.Absolute)}
}
