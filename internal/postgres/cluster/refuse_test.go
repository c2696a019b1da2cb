package cluster_test

import (
	"os"
	"path/filepath"
	"testing"

	"vivarium/internal/postgres/cluster"
)

func TestWhatCannotBeUsedIsRefusedWithWhatToDo(t *testing.T) {
	t.Run("no binaries", func(t *testing.T) {
		cfg := config(t, openDir(t))
		cfg.BinDir = t.TempDir()
		_, err := cluster.Start(t.Context(), cfg)
		wantUnavailable(t, err, "Install", "VIVARIUM_DATABASE_URL", cfg.BinDir)
	})
	t.Run("data of another major version", func(t *testing.T) {
		dir := seeded(t)
		version := filepath.Join(dir, "data", "PG_VERSION")
		if err := os.WriteFile(version, []byte("99\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "PostgreSQL 99", "pg_upgrade")
	})
	t.Run("a folder that is no database", func(t *testing.T) {
		dir := seeded(t)
		if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
			t.Fatal(err)
		}
		precious := filepath.Join(dir, "data", "precious")
		if err := os.MkdirAll(precious, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "no database")
		if _, err := os.Stat(precious); err != nil {
			t.Errorf("want it left alone, got %v", err)
		}
	})
	t.Run("a configuration that PostgreSQL refuses", func(t *testing.T) {
		dir := seeded(t)
		f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("no_such_setting = 1\n"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "no_such_setting", filepath.Join(dir, "log"))
	})
	t.Run("a folder that the database's user cannot get to", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root runs the database as somebody else")
		}
		closed := filepath.Join(filepath.Dir(openDir(t)), "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, filepath.Join(closed, "postgres")))
		wantUnavailable(t, err, "chmod o+x "+closed, "/var/lib/vivarium")
	})
	t.Run("a folder of somebody else", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder away")
		}
		dir := openDir(t)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := cluster.Start(t.Context(), config(t, dir))
		wantUnavailable(t, err, "chown")
	})
}
