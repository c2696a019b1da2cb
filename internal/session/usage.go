package session

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

	"vivarium/internal/sandbox"
	"vivarium/internal/terminal"
)

// Usage is what a session's sandbox uses at one moment.
type Usage struct {
	At          time.Time
	CPU         float64 // cores in use since the reading before
	MemoryBytes int64
	Processes   int   // 0 when the driver cannot tell
	DiskBytes   int64 // 0 when the driver cannot tell
}

// Record is what is kept with a session: its totals, its peaks, and what limits did to it.
type Record struct {
	CPU         time.Duration // processor time in all
	PeakMemory  int64         // bytes
	PeakProcess int
	PeakDisk    int64    // bytes
	Notices     []Notice // oldest first, at most maxNotices
}

// Notice explains a limit that has bitten.
type Notice struct {
	At      time.Time
	Limit   string // which: "memory", "disk" or "processes"
	Bound   int64  // the limit, in bytes or processes
	Peak    int64  // how much was used
	Process string // what ran into it, where that is known
	Output  string // the last lines of its terminal, where they are known
	Text    string // what happened and what to do, in words
}

const (
	maxNotices = 20
	lastOutput = 2 << 10 // bytes of a terminal's output that a notice shows
)

const (
	watchedEvery   = time.Second      // between readings while a page is open
	unwatchedEvery = 15 * time.Second // … while none is
	recordEvery    = time.Minute      // between records in the store
)

// govern reads what the sandbox uses, tells the pages, explains limits, and ends the session when the policy says so.
func (l *live) govern(ctx context.Context) {
	cfg := l.service.cfg
	m := meter{limits: cfg.Limits, begun: l.current().CreatedAt, readKills: !l.adopted}
	recorded := time.Now()
	for pause(ctx, l.service.tick) {
		viewers := l.service.watchers.count(l.workspace) + int(l.viewers.Load())
		if now := time.Now(); now.Sub(m.last.at) >= unwatchedEvery || viewers > 0 && now.Sub(m.last.at) >= min(watchedEvery, l.service.tick) {
			callCtx, cancel := context.WithTimeout(ctx, callTimeout)
			reading, err := cfg.Driver.Usage(callCtx, l.id())
			cancel()
			if err != nil {
				if ctx.Err() == nil {
					l.log.Debug("a sandbox's usage is not known", "session", l.id(), "err", err)
				}
				continue
			}
			l.observe(ctx, &m, reading, now)
		}
		at := moment{age: time.Since(m.begun), viewers: viewers, busy: l.busy(), cpu: m.cpu}
		if at.active() {
			l.lastActive.Store(time.Now().UnixNano())
		}
		v := cfg.Policy.judge(at, time.Since(l.activeLast()))
		if v.end != "" {
			l.end(v.end)
			return
		}
		l.endsIn(v.left)
		if time.Since(recorded) >= recordEvery {
			recorded = time.Now()
			l.keepRecord(ctx)
		}
	}
}

// meter turns readings into usage.
type meter struct {
	limits sandbox.Limits
	begun  time.Time
	cpu    float64 // cores, of the last reading
	last   struct {
		at  time.Time
		cpu time.Duration
	}
	kills     int  // memory kills that were explained
	diskFull  bool // explained, and not yet better
	crowded   bool // … of processes
	readKills bool // kills is known: of an adopted session only after the first reading, because those before are explained
}

func (l *live) observe(ctx context.Context, m *meter, r sandbox.Usage, now time.Time) {
	if !m.last.at.IsZero() && now.After(m.last.at) {
		m.cpu = max(0, float64(r.CPU-m.last.cpu)/float64(now.Sub(m.last.at)))
	}
	m.last.at, m.last.cpu = now, r.CPU
	var notices []Notice
	if r.MemoryKills > m.kills && m.readKills {
		notices = append(notices, l.memoryNotice(ctx, m.limits, max(r.PeakBytes, r.MemoryBytes)))
	}
	m.kills, m.readKills = r.MemoryKills, true
	if full := m.limits.DiskBytes; full > 0 {
		if r.DiskBytes >= full-full/50 && !m.diskFull {
			m.diskFull = true
			notices = append(notices, Notice{At: now, Limit: "disk", Bound: full, Peak: r.DiskBytes,
				Text: fmt.Sprintf("The disk is full: %s of %s are used. Programs that write will fail. Delete files that you do not need, in the explorer or with rm; what is in the workspace is stored already.",
					bytesInWords(r.DiskBytes), bytesInWords(full))})
		} else if r.DiskBytes < full-full/10 {
			m.diskFull = false
		}
	}
	if most := m.limits.Processes; most > 0 {
		if r.Processes >= most && !m.crowded {
			m.crowded = true
			notices = append(notices, Notice{At: now, Limit: "processes", Bound: int64(most), Peak: int64(r.Processes),
				Text: fmt.Sprintf("There are %d processes and threads, as many as a session may have. New ones are refused until some have ended; restart the session if none do.", r.Processes)})
		} else if r.Processes < most-most/10 {
			m.crowded = false
		}
	}
	l.mu.Lock()
	l.usage = &Usage{At: now, CPU: m.cpu, MemoryBytes: r.MemoryBytes, Processes: r.Processes, DiskBytes: r.DiskBytes}
	record := &l.record
	record.CPU = max(record.CPU, r.CPU)
	record.PeakMemory = max(record.PeakMemory, r.PeakBytes, r.MemoryBytes)
	record.PeakProcess = max(record.PeakProcess, r.Processes)
	record.PeakDisk = max(record.PeakDisk, r.DiskBytes)
	l.mu.Unlock()
	for _, n := range notices {
		l.notify(ctx, n)
	}
	l.changed()
}

func (l *live) activeLast() time.Time { return time.Unix(0, l.lastActive.Load()) }

// explainDeath notes that the memory limit has ended the whole sandbox.
func (l *live) explainDeath() {
	limit := l.service.cfg.Limits.MemoryBytes
	l.notify(l.service.base, Notice{At: time.Now(), Limit: "memory", Bound: limit, Peak: limit,
		Text: fmt.Sprintf("The session's memory was used up, and all of it ended: the limit is %s. Your files are stored. Work on less data at once, for example in chunks.",
			bytesInWords(limit))})
}

// notify adds a notice to the session's record.
func (l *live) notify(ctx context.Context, n Notice) {
	l.log.Info("a limit was reached", "session", l.id(), "limit", n.Limit, "bound", n.Bound, "peak", n.Peak)
	l.mu.Lock()
	l.record.Notices = append(l.record.Notices, n)
	if over := len(l.record.Notices) - maxNotices; over > 0 {
		l.record.Notices = l.record.Notices[over:]
	}
	l.mu.Unlock()
	l.keepRecord(ctx)
	l.changed()
}

// memoryNotice explains that the memory limit has killed something.
func (l *live) memoryNotice(ctx context.Context, limits sandbox.Limits, peak int64) Notice {
	n := Notice{At: time.Now(), Limit: "memory", Bound: limits.MemoryBytes, Peak: min(peak, limits.MemoryBytes)}
	what := "A process"
	callCtx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	l.refreshTerminals(callCtx)
	list := l.view().Terminals
	for i := len(list) - 1; i >= 0; i-- {
		if t := list[i]; t.Exit != nil && t.Exit.Signal == "SIGKILL" && time.Since(t.Exit.At) < time.Minute {
			n.Process, n.Output = t.Title, l.lastLines(callCtx, t)
			what = t.Title
			break
		}
	}
	n.Text = fmt.Sprintf("%s was ended because the session's memory was used up: the limit is %s. Work on less data at once, for example in chunks, or close what else runs.",
		what, bytesInWords(limits.MemoryBytes))
	return n
}

// lastLines returns the end of a terminal's output, from the beginning of a line.
func (l *live) lastLines(ctx context.Context, t terminal.State) string {
	agent := l.connection()
	if agent == nil {
		return ""
	}
	from := uint64(0)
	if t.End > lastOutput {
		from = t.End - lastOutput
	}
	attachment, err := agent.Attach(ctx, t.ID, terminal.AttachOptions{From: from})
	if err != nil {
		return ""
	}
	defer func() { _ = attachment.Close() }() // a viewer; nothing is lost with it
	stop := context.AfterFunc(ctx, func() { _ = attachment.Close() })
	defer stop()
	var text strings.Builder
	for text.Len() < lastOutput {
		event, err := attachment.Next()
		if err != nil || event.Exit != nil {
			break
		}
		text.Write(event.Data)
	}
	out := strings.ToValidUTF8(text.String(), "")
	if _, rest, cut := strings.Cut(out, "\n"); cut && from > 0 {
		out = rest
	}
	return strings.TrimSpace(plainText(out))
}

// controls are the sequences that a terminal obeys and a reader does not want: OSC, CSI, and the short ones (ECMA-48).
var controls = regexp.MustCompile("\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")

// plainText takes out control sequences and other control characters but line ends.
func plainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, controls.ReplaceAllString(s, ""))
}

// busy reports whether something runs in one of the terminals.
func (l *live) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.terminals {
		if t.Busy {
			return true
		}
	}
	return false
}

// endsIn tells the pages when the session ends by its age, or that it does not soon.
func (l *live) endsIn(left time.Duration) {
	l.mu.Lock()
	was := l.endsAt != nil
	if left > 0 && !was {
		at := time.Now().Add(left).Round(time.Second)
		l.endsAt = &at
	}
	l.mu.Unlock()
	if left > 0 && !was {
		l.changed()
	}
}

// keepRecord stores the session's record.
func (l *live) keepRecord(ctx context.Context) {
	l.mu.Lock()
	record := l.record
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	if err := l.service.cfg.Store.SetRecord(ctx, l.sessionID(), l.service.cfg.Server, record); err != nil {
		l.log.Warn("a session's record could not be stored", "session", l.id(), "err", err)
	}
}

// bytesInWords writes a number of bytes as people read it.
func bytesInWords(n int64) string {
	for _, unit := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			text := fmt.Sprintf("%.1f", float64(n)/float64(unit.size))
			return strings.TrimSuffix(text, ".0") + " " + unit.name
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
