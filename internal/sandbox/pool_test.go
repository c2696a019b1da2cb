package sandbox

import (
	"testing"
	"time"
)

func TestAPoolWantsAsManyAsTheBusiestRecentWindowTook(t *testing.T) {
	p := NewPool(PoolConfig{Min: 1, Max: 5, Window: time.Minute})
	begin := p.window
	if n := p.want(begin); n != 1 {
		t.Errorf("want the least, got %d", n)
	}
	p.taken[0] = 3
	for minute := range demandWindows {
		if n := p.want(begin.Add(time.Duration(minute) * time.Minute)); n != 3 {
			t.Errorf("after %d minutes: want 3, got %d", minute, n)
		}
	}
	if n := p.want(begin.Add(demandWindows * time.Minute)); n != 1 {
		t.Errorf("want the least once the demand is over, got %d", n)
	}
	p.taken[0] = 50
	if n := p.want(p.window); n != 5 {
		t.Errorf("want the most, got %d", n)
	}
	if n := p.want(p.window.Add(1000 * time.Hour)); n != 1 {
		t.Errorf("want the least after a long time, got %d", n)
	}
}
