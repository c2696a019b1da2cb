package oci_test

import (
	"testing"

	"vivarium/internal/sandbox/sandboxtest"
)

// BenchmarkCreateToFirstAnswer measures a cold start: from the call of Create to the agent's first answer, with a home that
// exists already.
func BenchmarkCreateToFirstAnswer(b *testing.B) {
	for _, isolation := range isolations {
		b.Run(string(isolation), func(b *testing.B) {
			cfg := config(b)
			d := open(b, cfg)
			h := sandboxtest.Harness{Isolation: isolation, Limits: limits}
			workspace := h.Spec().Workspace
			for b.Loop() {
				spec := h.Spec()
				spec.Workspace = workspace
				if err := d.Create(b.Context(), spec); err != nil {
					b.Fatal(err)
				}
				stream, err := d.Dial(b.Context(), spec.ID)
				if err != nil {
					b.Fatal(err)
				}
				agent, err := sandboxtest.ConnectReal(stream)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := agent.Boot(b.Context()); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				_ = agent.Close()
				if err := d.Remove(b.Context(), spec.ID); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
