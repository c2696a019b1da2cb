package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"vivarium/internal/fault"
	"vivarium/internal/postgres"
	"vivarium/internal/postgres/postgrestest"
)

func TestD6_ServersThatStartTogetherMigrateOnce(t *testing.T) {
	url := postgrestest.Empty(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url, postgrestest.Log(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := value[int](t, url, "SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version"); n != 0 {
		t.Errorf("want each migration once, got %d more", n)
	}
	db, err := postgres.Open(t.Context(), url, postgrestest.Log(t))
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

func TestAnotherSchemaIsRefusedWithWhatToDo(t *testing.T) {
	url := postgrestest.Empty(t)
	refused := func(err error, newer bool, remedy string) {
		t.Helper()
		e, ok := errors.AsType[*postgres.SchemaError](err)
		if !ok || e.Newer() != newer || !strings.Contains(e.Error(), remedy) {
			t.Fatalf("want a schema error that says %q, got %v", remedy, err)
		}
		wantKind(t, err, fault.Unavailable)
	}
	_, err := postgres.Open(t.Context(), url, postgrestest.Log(t))
	refused(err, false, "vivarium migrate")
	if err := postgres.Migrate(t.Context(), url, postgrestest.Log(t)); err != nil {
		t.Fatal(err)
	}
	exec(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	_, err = postgres.Open(t.Context(), url, postgrestest.Log(t))
	refused(err, true, "Install the newer vivarium")
	refused(postgres.Migrate(t.Context(), url, postgrestest.Log(t)), true, "Install the newer vivarium")
	if n := value[int](t, url, "SELECT max(version_id) FROM goose_db_version"); n != 99999 {
		t.Errorf("want the newer schema left alone, got version %d", n)
	}
}

func TestAnUnreachableDatabaseIsUnavailable(t *testing.T) {
	for _, c := range []struct {
		url  string
		want fault.Kind
	}{
		{"postgres://nobody:hunter2@127.0.0.1:1/nothing", fault.Unavailable},
		{"postgres://nobody:hunter2@127.0.0.1:port/nothing", fault.Invalid},
	} {
		_, err := postgres.Open(t.Context(), c.url, postgrestest.Log(t))
		wantKind(t, err, c.want)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in the error: %v", err)
		}
		wantKind(t, postgres.Migrate(t.Context(), c.url, postgrestest.Log(t)), c.want)
	}
}

func TestC3_AnotherKeyFileIsRefused(t *testing.T) {
	db, url := postgrestest.NewURL(t)
	first, err := db.Installation(t.Context())
	if err != nil || first.KeyFingerprint != nil {
		t.Fatalf("want an installation without keys, got %+v (%v)", first, err)
	}
	ours, other := []byte("0123456789abcdef"), []byte("fedcba9876543210")
	for range 2 {
		if err := db.ClaimKeys(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
	}
	before := value[string](t, url, "SELECT installation::text FROM installation")
	wantKind(t, db.ClaimKeys(t.Context(), other), fault.Conflict)
	if after := value[string](t, url, "SELECT installation::text FROM installation"); after != before {
		t.Errorf("want nothing written, got %s after %s", after, before)
	}
	again, err := db.Installation(t.Context())
	if err != nil || again.ID != first.ID || string(again.KeyFingerprint) != string(ours) {
		t.Errorf("want the same installation with our keys, got %+v (%v)", again, err)
	}
}
