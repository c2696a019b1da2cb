//go:build docker

package docker_test

import (
	"testing"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/sandboxtest"
)

func TestGVisorPassesTheSuite(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Harness { return harness(t, sandbox.GVisor) })
}

func TestRuncPassesTheSuite(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Harness { return harness(t, sandbox.Runc) })
}
