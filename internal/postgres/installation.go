package postgres

import (
	"bytes"
	"context"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/postgres/sqlcgen"
)

// Installation is what makes this installation different from all others.
type Installation struct {
	ID             uuid.UUID // marks its sandboxes
	KeyFingerprint []byte    // of the keys that the database is encrypted with; nil before ClaimKeys
}

// Installation returns the installation that the database belongs to. It is made at the first call.
func (db *DB) Installation(ctx context.Context) (Installation, error) {
	var one Installation
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		if err := t.MakeInstallation(ctx, uuid.New()); err != nil {
			return err
		}
		row, err := t.ReadInstallation(ctx)
		one = Installation{ID: row.ID, KeyFingerprint: row.KeyFingerprint}
		return err
	})
	return one, err
}

// ClaimKeys binds the database to the keys with the fingerprint at the first call, and is Conflict with a sentence that says
// what to do when it is bound to others. Nothing may be written with keys that were not claimed.
func (db *DB) ClaimKeys(ctx context.Context, fingerprint []byte) error {
	if _, err := db.Installation(ctx); err != nil {
		return err
	}
	var stored sqlcgen.Installation
	err := db.tx(ctx, ordinaryLimit, func(ctx context.Context, t *txn) error {
		if err := t.ClaimKeys(ctx, fingerprint); err != nil {
			return err
		}
		var err error
		stored, err = t.ReadInstallation(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if !bytes.Equal(stored.KeyFingerprint, fingerprint) {
		return fault.New(fault.Conflict, "The key file is not the one that this database is encrypted with. Put the key file back that "+
			"belongs to it (it is in the data folder's backup); nothing was changed.")
	}
	return nil
}
