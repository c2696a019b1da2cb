package oci_test

import (
	"testing"

	"vivarium/internal/sandbox/sandboxtest"
)

func TestDriverPassesTheSuite(t *testing.T) { sandboxtest.Run(t, harness) }
