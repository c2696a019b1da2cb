package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// serverKey returns the key of a server's advisory lock.
func serverKey(server uuid.UUID) int64 {
	sum := sha256.Sum256(append([]byte("vivarium server "), server[:]...))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// HoldServer shows the other servers on this database that the server lives, until release is called or the process ends: it
// holds an advisory lock on a connection of its own, which PostgreSQL frees with the connection. So the sessions of a server
// that was killed can be taken over at once, and need not wait for their leases. Where the connection is lost while the server
// lives, it is made again; in between another server may take its sessions over, and then what this one writes for them is
// refused (fencing), as after a lease that ran out. A DB holds one server at a time.
func (db *DB) HoldServer(ctx context.Context, server uuid.UUID) (release func(), err error) {
	var conn *pgx.Conn
	err = db.bounded(ctx, longLimit, func(ctx context.Context) (err error) {
		conn, err = db.holdLock(ctx, server)
		return err
	})
	if err != nil {
		return nil, err
	}
	db.held.Store(&server)
	holding, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		db.keepLock(holding, server, conn)
	}()
	return func() {
		cancel()
		<-done
		db.held.CompareAndSwap(&server, nil)
	}, nil
}

func (db *DB) holdLock(ctx context.Context, server uuid.UUID) (*pgx.Conn, error) {
	cfg := db.pool.Config().ConnConfig
	cfg.RuntimeParams["application_name"] = "vivarium server " + server.String()
	// A taker holds the lock for the moment of its transaction; that is waited for.
	cfg.RuntimeParams["statement_timeout"] = milliseconds(longLimit)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", serverKey(server)); err != nil {
		shut(conn)
		return nil, err
	}
	return conn, nil
}

// keepLock holds on to the connection until ctx ends, and makes it again when it is lost.
func (db *DB) keepLock(ctx context.Context, server uuid.UUID, conn *pgx.Conn) {
	wait := 10 * time.Millisecond
	for ctx.Err() == nil {
		if conn != nil {
			// Nobody notifies: this returns when the connection is lost or ctx ends.
			_, err := conn.WaitForNotification(ctx)
			if err == nil {
				continue
			}
			shut(conn)
			conn = nil
			if ctx.Err() != nil {
				return
			}
			db.log.Warn("lost the connection that shows other servers that this one lives", "err", err)
		}
		var err error
		if conn, err = db.holdLock(ctx, server); err == nil {
			db.log.Info("this server shows again that it lives")
			wait = 10 * time.Millisecond
			continue
		}
		if !pause(ctx, wait) {
			return
		}
		wait = min(2*wait, time.Second)
	}
	if conn != nil {
		shut(conn)
	}
}

// shut closes a connection; PostgreSQL frees its locks even if the goodbye does not arrive.
func shut(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // there is nothing to do about a connection that does not even close
}
