package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// figure is one line of the result. Value, target and floor have the same unit.
type figure struct {
	name   string
	unit   string // "ms" or "MiB"
	value  float64
	target float64
	// over says that the target is what the value may be over the floor, not the value itself.
	over  bool
	floor float64 // 0: there is none
	what  string  // what the floor is
}

// met says whether the figure is within its target.
func (f figure) met() bool {
	if f.over {
		return f.value-f.floor <= f.target
	}
	return f.value <= f.target
}

// table prints figures as they come.
type table struct{ out io.Writer }

func newTable(out io.Writer) *table {
	fmt.Fprintf(out, "%-52s %12s %12s %12s %7s  %-5s %s\n", "figure", "target", "measured", "floor", "ratio", "", "the floor is")
	return &table{out}
}

func (t *table) add(f figure) {
	target, floor, ratio, verdict := fmt.Sprintf("≤ %g %s", f.target, f.unit), "–", "–", "over"
	if f.over {
		target = fmt.Sprintf("floor+%g %s", f.target, f.unit)
	}
	if f.floor > 0 {
		floor = fmt.Sprintf("%.2f %s", f.floor, f.unit)
		ratio = fmt.Sprintf("%.1f", f.value/f.floor)
	}
	if f.met() {
		verdict = "ok"
	}
	fmt.Fprintf(t.out, "%-52s %12s %12s %12s %7s  %-5s %s\n", f.name, target, fmt.Sprintf("%.2f %s", f.value, f.unit), floor, ratio,
		verdict, f.what)
}

// samples are measured times.
type samples []time.Duration

// at returns the p-th percentile in milliseconds, by the nearest rank.
func (s samples) at(p int) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := (len(sorted)*p + 99) / 100
	return float64(sorted[max(rank, 1)-1].Microseconds()) / 1000
}
