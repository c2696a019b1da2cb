//go:build docker

package docker

import (
	"testing"
	"time"
)

func TestAnEndIsBlamedOnTheMemoryLimitOnlyShortlyAfterItHasKilled(t *testing.T) {
	ended := time.Date(2026, 1, 2, 3, 4, 20, 5e8, time.UTC)
	for name, c := range map[string]struct {
		before     time.Duration // of the last kill; 0 for none known
		everKilled bool          // as the daemon says
		want       bool
	}{
		"a moment after":                  {before: time.Second, everKilled: true, want: true},
		"long after":                      {before: time.Minute, everKilled: true, want: false},
		"nothing known, the daemon's yes": {everKilled: true, want: true},
		"nothing known, the daemon's no":  {everKilled: false, want: false},
	} {
		d := &Driver{known: map[string]*knowledge{}}
		if c.before > 0 {
			d.known["id"] = &knowledge{lastKill: ended.Add(-c.before).UnixNano()}
		}
		if got := d.blames("id", ended, c.everKilled); got != c.want {
			t.Errorf("%s: want %v, got %v", name, c.want, got)
		}
	}
}

func TestMomentsAreWrittenAsTheDaemonReadsThem(t *testing.T) {
	for nanos, want := range map[int64]string{1: "0.000000001", 1_700_000_000_000_000_007: "1700000000.000000007"} {
		if got := stamp(nanos); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}
