package oci_test

import (
	"strings"
	"testing"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox/sandboxtest"
)

func TestAHomeFollowsItsLimit(t *testing.T) {
	d := open(t, config(t))
	workspace := sandboxtest.Harness{}.Spec().Workspace
	t.Cleanup(func() {
		if err := d.RemoveHome(t.Context(), workspace); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	life := func(homeBytes int64, script string) (string, error) {
		l := limits
		l.HomeBytes = homeBytes
		spec := sandboxtest.Harness{Limits: l}.Spec()
		spec.Workspace = workspace
		if err := d.Create(t.Context(), spec); err != nil {
			return "", err
		}
		defer func() {
			if err := d.Remove(t.Context(), spec.ID); err != nil {
				t.Error(err)
			}
		}()
		return must(t, dial(t, d, spec.ID), script), nil
	}
	const size = `df --output=size -B1M ~ | tail -1`
	first, err := life(64<<20, "head -c 40M /dev/urandom >~/file; sha256sum ~/file; "+size)
	if err != nil {
		t.Fatal(err)
	}
	sum := strings.Fields(first)[0]
	check := func(when string, homeBytes, least, most int64) {
		t.Helper()
		got, err := life(homeBytes, "sha256sum ~/file; "+size)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			return
		}
		f := strings.Fields(got)
		if f[0] != sum {
			t.Errorf("%s: the file has changed", when)
		}
		if n := atoi(t, f[2]); n < least || n > most {
			t.Errorf("%s: want a home of %d to %d MiB, got %d", when, least, most, n)
		}
	}
	check("after the limit was raised", 128<<20, 100, 128)
	check("after it was lowered", 56<<20, 42, 56)
	if _, err := life(32<<20, "true"); !fault.Is(err, fault.Exhausted) {
		t.Errorf("want a home that holds more than its limit refused, got %v", err)
	}
	check("after the refusal", 64<<20, 50, 64)
}
