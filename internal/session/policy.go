package session

import (
	"fmt"
	"time"
)

// Policy says how long sessions live and how many there may be. A zero field is no bound.
type Policy struct {
	IdleAfter       time.Duration // without a viewer, a job in a terminal, or work for the processor
	MaxAge          time.Duration // since the start, whatever happens in it
	Warning         time.Duration // how long before the end by age the pages are told
	PerUser         int           // live sessions that one user has started
	Total           int           // live sessions in all
	StartsPerMinute int           // of one user
}

func (p Policy) quota() Quota {
	return Quota{PerUser: p.PerUser, Total: p.Total, StartsPerMinute: p.StartsPerMinute}
}

// quietCPU is the processor time, in cores, below which a sandbox counts as quiet: gVisor's own housekeeping is below it.
const quietCPU = 0.05

// moment is what is known about a session when the policy is asked.
type moment struct {
	age     time.Duration
	viewers int
	busy    bool    // something runs in a terminal
	cpu     float64 // cores in use
}

// active reports whether the session is in use.
func (m moment) active() bool { return m.viewers > 0 || m.busy || m.cpu >= quietCPU }

// verdict is what the policy says about a session.
type verdict struct {
	end  string        // why it must end now; empty when it need not
	left time.Duration // until the end by age, when that is near; zero otherwise
}

// judge decides about a session that was last active idle ago.
func (p Policy) judge(m moment, idle time.Duration) verdict {
	switch {
	case p.MaxAge > 0 && m.age >= p.MaxAge:
		return verdict{end: fmt.Sprintf("The session was %s old, the longest that one may run. Your files are stored; start a new one to go on.", words(p.MaxAge))}
	case p.IdleAfter > 0 && !m.active() && idle >= p.IdleAfter:
		return verdict{end: fmt.Sprintf("Nobody was here and nothing ran for %s. Your files are stored; start a new session to go on.", words(p.IdleAfter))}
	case p.MaxAge > 0 && m.age >= p.MaxAge-p.Warning:
		return verdict{left: p.MaxAge - m.age}
	}
	return verdict{}
}

// words writes a duration as people say it.
func words(d time.Duration) string {
	unit, size := "second", time.Second
	switch {
	case d >= 2*time.Hour && d%time.Hour == 0:
		unit, size = "hour", time.Hour
	case d >= 2*time.Minute:
		unit, size = "minute", time.Minute
	}
	n := int64((d + size/2) / size)
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
