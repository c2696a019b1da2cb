package oci_test

import (
	"testing"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/sandboxtest"
)

// isolations are what the driver offers on this machine when all is there.
var isolations = []sandbox.Isolation{sandbox.GVisor, sandbox.Runc}

func TestDriverPassesTheSuite(t *testing.T) {
	for _, isolation := range isolations {
		t.Run(string(isolation), func(t *testing.T) {
			sandboxtest.Run(t, func(t *testing.T) sandboxtest.Harness { return harness(t, isolation) })
		})
	}
}
