package session

import (
	"strings"
	"testing"
	"time"
)

func TestThePolicyEndsWhatIsIdleAndWhatIsOldAndNothingElse(t *testing.T) {
	p := Policy{IdleAfter: 30 * time.Minute, MaxAge: 24 * time.Hour, Warning: 10 * time.Minute}
	for _, c := range []struct {
		name   string
		policy Policy
		m      moment
		idle   time.Duration
		ends   string
		left   time.Duration
	}{
		{"in use", p, moment{age: time.Hour, viewers: 1}, 0, "", 0},
		{"idle, not yet long", p, moment{age: time.Hour}, 29 * time.Minute, "", 0},
		{"idle for long", p, moment{age: time.Hour}, 30 * time.Minute, "30 minutes", 0},
		{"a job runs", p, moment{age: time.Hour, busy: true}, time.Hour, "", 0},
		{"somebody looks", p, moment{age: time.Hour, viewers: 1}, time.Hour, "", 0},
		{"the processor works", p, moment{age: time.Hour, cpu: 0.5}, time.Hour, "", 0},
		{"nearly too old", p, moment{age: 24*time.Hour - 4*time.Minute, viewers: 1}, 0, "", 4 * time.Minute},
		{"too old, with a job", p, moment{age: 24 * time.Hour, busy: true, viewers: 1}, 0, "24 hours", 0},
		{"no bounds", Policy{}, moment{age: 1000 * time.Hour}, 1000 * time.Hour, "", 0},
	} {
		got := c.policy.judge(c.m, c.idle)
		if (got.end != "") != (c.ends != "") || !strings.Contains(got.end, c.ends) || got.left != c.left {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestANoticeShowsPlainText(t *testing.T) {
	if got := plainText("\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07done\x00"); got != "red\ndone" {
		t.Errorf("got %q", got)
	}
}

func TestBytesAndDurationsReadWell(t *testing.T) {
	for n, want := range map[int64]string{900: "900 bytes", 1 << 30: "1 GiB", 1536 << 20: "1.5 GiB", 100 << 20: "100 MiB"} {
		if got := bytesInWords(n); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	for d, want := range map[time.Duration]string{time.Second: "1 second", 90 * time.Second: "90 seconds", 30 * time.Minute: "30 minutes", 24 * time.Hour: "24 hours"} {
		if got := words(d); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}
