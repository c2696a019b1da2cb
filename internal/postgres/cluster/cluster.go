// Package cluster runs a private PostgreSQL for a server that was given no database: it makes the cluster, starts it, adopts
// one that a killed server left running, starts it again when it dies, and stops it. The database listens on a unix socket in a
// folder of its own and nowhere else. It must never touch data of another major version, and never run two postmasters on one
// folder.
//
// In the folder: data (PGDATA), log (rotated, bounded) and run (the socket); beside it a file, which is locked while somebody
// starts the cluster. It all belongs to one ordinary account of the machine: the server's own, or "postgres" when the server
// runs as root, which PostgreSQL refuses. So that this account can reach it, every folder above must be open to be passed
// through (mode o+x).
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"vivarium/internal/fault"
)

// Names in the cluster. The server is no superuser: it owns its database and nothing else.
const (
	superuser = "postgres"
	role      = "vivarium"
	database  = "vivarium"
)

// readyTimeout bounds a start. It is long, because after a crash the write-ahead log is replayed first.
const readyTimeout = 5 * time.Minute

// quitTimeout is how long a postmaster has to end after it was told to drop everything.
const quitTimeout = 5 * time.Second

// Config says where a cluster is.
type Config struct {
	Dir    string // made when it is missing
	BinDir string // of initdb and postgres; empty to look for them
	Log    *slog.Logger
	// Volatile gives up durability for speed: fsync off. For tests, whose databases may be lost with the machine.
	Volatile bool
}

// Cluster is a running cluster under our care.
type Cluster struct {
	cfg     Config
	account account

	cancel context.CancelFunc // of supervise
	idle   chan struct{}      // closed when supervise has ended
	done   chan struct{}      // closed when the cluster is stopped, or let go
	end    sync.Once
	endErr error

	mu      sync.Mutex
	bin     binaries
	socket  string   // folder
	process *process // nil while it is down
}

// Start starts the cluster, or adopts the one that runs in the folder already, and returns when it answers. Errors are
// faults with a sentence that says what to do.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Dir = dir
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()

	c := &Cluster{cfg: cfg, idle: make(chan struct{}), done: make(chan struct{})}
	if c.account, err = findAccount(); err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := c.up(ctx); err != nil {
		return nil, err
	}
	c.cfg.Log.Info("the private database is ready", "postgres", c.bin.version, "took", time.Since(begun).Round(time.Millisecond))

	supervised, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = stop
	go func() {
		defer close(c.idle)
		c.supervise(supervised)
	}()
	return c, nil
}

// up makes the cluster if it is missing, and starts or adopts it. A lock keeps others from doing the same at once.
func (c *Cluster) up(ctx context.Context) error {
	// 0711: the account passes through and cannot look.
	if err := os.MkdirAll(filepath.Dir(c.cfg.Dir), 0o711); err != nil {
		return fault.Wrap(err, fault.Unavailable, "The folder for the private database cannot be made: %s.", reason(err))
	}
	unlock, err := lockFile(ctx, c.cfg.Dir+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.makeDirs(); err != nil {
		return err
	}
	bin, err := findBinaries(ctx, c.cfg.BinDir, c.data(), c.account)
	if err != nil {
		return err
	}
	if err := c.checkReach(ctx, bin); err != nil {
		return err
	}
	if err := c.initialise(ctx, bin); err != nil {
		return err
	}
	socket, err := socketDir(c.cfg.Dir, c.account)
	if err != nil {
		return err
	}
	p, theirs, err := findRunning(c.data())
	if err != nil {
		return err
	}
	launched := p == nil
	if launched {
		if err := c.configure(socket); err != nil {
			return err
		}
		if p, err = c.launch(bin); err != nil {
			return err
		}
	} else {
		c.cfg.Log.Info("adopting the private database that is running already", "pid", p.pid)
		if theirs != "" {
			socket = theirs
		}
	}
	c.mu.Lock()
	c.bin, c.socket = bin, socket
	c.mu.Unlock()
	err = c.awaitReady(ctx, p)
	if err == nil {
		err = c.ensureDatabase(ctx)
	}
	if err != nil {
		if launched {
			err = errors.Join(err, p.signal(stopFast))
		}
		p.discard()
		return err
	}
	c.mu.Lock()
	c.process = p
	c.mu.Unlock()
	c.pruneLogs()
	return nil
}

func (c *Cluster) data() string   { return filepath.Join(c.cfg.Dir, "data") }
func (c *Cluster) logDir() string { return filepath.Join(c.cfg.Dir, "log") }

// URL returns the URL of the server's database.
func (c *Cluster) URL() string { return c.url(role, database) }

// AdminURL returns the URL of a database for the cluster's superuser: for back-ups and tests, not for the server.
func (c *Cluster) AdminURL(database string) string { return c.url(superuser, database) }

func (c *Cluster) url(user, database string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := url.URL{Scheme: "postgres", Path: "/" + database,
		RawQuery: url.Values{"host": {c.socket}, "port": {port}, "user": {user}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

// Done is closed when the cluster was stopped or let go. While it is open, a postmaster that dies is started again.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Stop stops the cluster: open transactions are rolled back and everything committed is on disk. When it does not end by the
// context's deadline it is told to drop everything, which the next start repairs from the write-ahead log.
func (c *Cluster) Stop(ctx context.Context) error {
	c.end.Do(func() {
		defer close(c.done)
		c.cancel()
		<-c.idle
		p := c.current()
		if p == nil {
			return
		}
		defer p.discard()
		if c.endErr = c.shut(ctx, p); c.endErr == nil && c.socket != c.nearSocket() {
			_ = os.Remove(c.socket) // empty now; it is made again
		}
	})
	return c.endErr
}

func (c *Cluster) shut(ctx context.Context, p *process) error {
	if err := p.signal(stopFast); err != nil {
		return err
	}
	if ended, err := p.wait(ctx); ended || err != nil {
		return err
	}
	c.cfg.Log.Warn("the private database does not stop in time; it is told to drop everything")
	if err := p.signal(stopNow); err != nil {
		return err
	}
	quit, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitTimeout)
	defer cancel()
	ended, err := p.wait(quit)
	if err == nil && !ended {
		err = fault.New(fault.Timeout, "The private database does not stop (process %d).", p.pid)
	}
	return err
}

// Detach ends our care for the cluster and leaves it running, for whoever starts next.
func (c *Cluster) Detach() {
	c.end.Do(func() {
		defer close(c.done)
		c.cancel()
		<-c.idle
		if p := c.current(); p != nil {
			p.discard()
		}
	})
}

func (c *Cluster) current() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.process
}

// awaitReady waits until the database answers. It tries again for as long as the process lives.
func (c *Cluster) awaitReady(ctx context.Context, p *process) error {
	begun, wait := time.Now(), 10*time.Millisecond
	for {
		err := c.probe(ctx)
		if err == nil {
			return nil
		}
		if p.exited() {
			return c.explainExit(begun)
		}
		if !pause(ctx, wait) {
			return fault.Wrap(errors.Join(ctx.Err(), err), fault.Timeout, "The private database does not answer. Its log is in %s.", c.logDir())
		}
		wait = min(wait*3/2, 200*time.Millisecond)
	}
}

// probe reports whether the database answers, and that it is the one in our folder.
func (c *Cluster) probe(ctx context.Context) error {
	return c.admin(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var dir string
		if err := conn.QueryRow(ctx, "SELECT setting FROM pg_settings WHERE name = 'data_directory'").Scan(&dir); err != nil {
			return err
		}
		if !sameFile(dir, c.data()) {
			return fmt.Errorf("the database behind the socket has another folder: %s", dir)
		}
		return nil
	})
}

// admin runs fn on a connection of the superuser.
func (c *Cluster) admin(ctx context.Context, fn func(ctx context.Context, conn *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.AdminURL("postgres"))
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, conn), conn.Close(ctx))
}

// ensureDatabase makes the server's role and database where they are missing.
func (c *Cluster) ensureDatabase(ctx context.Context) error {
	return c.admin(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		var hasRole, hasDatabase bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), EXISTS (SELECT FROM pg_database WHERE datname = $2)`,
			role, database).Scan(&hasRole, &hasDatabase)
		if err != nil {
			return err
		}
		if !hasRole {
			if _, err := conn.Exec(ctx, "CREATE ROLE "+role+" LOGIN"); err != nil {
				return err
			}
		}
		if !hasDatabase {
			if _, err := conn.Exec(ctx, "CREATE DATABASE "+database+" OWNER "+role); err != nil {
				return err
			}
		}
		return nil
	})
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	two, err := os.Stat(b)
	return err == nil && os.SameFile(one, two)
}
