package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"

	"vivarium/internal/auth"
	"vivarium/internal/config"
	"vivarium/internal/postgres"
)

// Migrate brings the database's schema up to date, without serving.
func Migrate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	return withDatabase(ctx, cfg, log, func(*postgres.DB) error { return nil })
}

// AddUser makes an account.
func AddUser(ctx context.Context, cfg config.Config, log *slog.Logger, username, password string, admin bool) (auth.User, error) {
	var user auth.User
	err := withDatabase(ctx, cfg, log, func(db *postgres.DB) error {
		var err error
		user, err = accounts(db, log).CreateUser(ctx, username, password, admin)
		return err
	})
	return user, err
}

// Users returns every account, ordered by name.
func Users(ctx context.Context, cfg config.Config, log *slog.Logger) ([]auth.User, error) {
	var users []auth.User
	err := withDatabase(ctx, cfg, log, func(db *postgres.DB) error {
		var err error
		users, err = db.Users(ctx)
		return err
	})
	return users, err
}

// ResetPassword gives an account another password and ends all its logins.
func ResetPassword(ctx context.Context, cfg config.Config, log *slog.Logger, username, password string) error {
	return withDatabase(ctx, cfg, log, func(db *postgres.DB) error {
		return accounts(db, log).ResetPassword(ctx, username, password)
	})
}

func accounts(db *postgres.DB, log *slog.Logger) *auth.Service {
	return auth.New(auth.Config{Store: db, Life: loginLife, Log: log})
}

// withDatabase gives fn the migrated database, whether or not a server runs. The embedded one is stopped afterwards when no
// server had it running, and is left alone otherwise.
func withDatabase(ctx context.Context, cfg config.Config, log *slog.Logger, fn func(*postgres.DB) error) error {
	data, err := openFolder(cfg.DataDir)
	served := errors.Is(err, errFolderInUse)
	if err != nil && !served {
		return err
	}
	if data != nil {
		defer data.close()
	}
	db, err := openDatabase(ctx, cfg, filepath.Join(cfg.DataDir, "postgres"), log)
	if err != nil {
		return err
	}
	if served {
		defer db.leave()
	} else {
		defer db.close(log)
	}
	return fn(db.DB)
}
