package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"vivarium/internal/config"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/cluster"
	"vivarium/internal/workspace"
)

// database is the open database, with the cluster below it when it is the embedded one.
type database struct {
	*postgres.DB
	cluster *cluster.Cluster // nil for a database that somebody else runs
}

const (
	openTimeout = 6 * time.Minute // recovery after a crash, and migrations, may take long; an ordinary start takes a second
	stopCluster = 8 * time.Second
)

// openDatabase starts the embedded cluster where no URL is configured, migrates, and connects.
func openDatabase(ctx context.Context, cfg config.Config, dir string, log *slog.Logger) (*database, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	d, url := &database{}, string(cfg.DatabaseURL)
	if url == "" {
		var err error
		d.cluster, err = cluster.Start(ctx, cluster.Config{Dir: dir, BinDir: cfg.PostgresBin, Log: log})
		if err != nil {
			return nil, fmt.Errorf("the embedded database: %w", err)
		}
		url = d.cluster.URL()
	}
	err := postgres.Migrate(ctx, url, log)
	if err == nil {
		d.DB, err = postgres.Open(ctx, url, log)
	}
	if err != nil {
		d.stop(log)
		return nil, fmt.Errorf("the database: %w", err)
	}
	return d, nil
}

// close closes the connections and stops the embedded cluster.
func (d *database) close(log *slog.Logger) {
	d.DB.Close()
	d.stop(log)
}

func (d *database) stop(log *slog.Logger) {
	if d.cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopCluster)
	defer cancel()
	if err := d.cluster.Stop(ctx); err != nil {
		log.Error("the embedded database does not stop cleanly; it recovers at the next start", "err", err)
	}
}

// leave closes the connections and lets an embedded cluster run on: it is another server's.
func (d *database) leave() {
	d.DB.Close()
	if d.cluster != nil {
		d.cluster.Detach()
	}
}

// loadKeys reads the keys that stored content is sealed with. A key file is made only for a database that was never used
// with one: else a lost file would be replaced by one that opens nothing. A file that is damaged is found before the
// database is touched at all.
func loadKeys(ctx context.Context, file string, open func() (*database, error)) (*workspace.Keys, *database, error) {
	var keys *workspace.Keys
	_, err := os.Lstat(file)
	missing := errors.Is(err, fs.ErrNotExist)
	if !missing {
		if keys, err = workspace.LoadKeys(file, false); err != nil {
			return nil, nil, err
		}
	}
	db, err := open()
	if err != nil {
		return nil, nil, err
	}
	fail := func(err error) (*workspace.Keys, *database, error) {
		return nil, db, err
	}
	if missing {
		installation, err := db.Installation(ctx)
		if err != nil {
			return fail(err)
		}
		if keys, err = workspace.LoadKeys(file, installation.KeyFingerprint == nil); err != nil {
			return fail(err)
		}
	}
	print := keys.Fingerprint()
	if err := db.ClaimKeys(ctx, print[:]); err != nil {
		return fail(err)
	}
	return keys, db, nil
}
