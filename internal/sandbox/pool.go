package sandbox

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Warmer is what a driver may offer beside the core: sandboxes that are made before anybody needs them.
type Warmer interface {
	Driver
	// CreateWarm is Create for a spec without a workspace. List shows the sandbox with an empty Workspace.
	CreateWarm(ctx context.Context, spec Spec) error
	// Claim gives a warm sandbox its workspace: from then on it is as if Create had made it for that workspace. Conflict
	// when it has one already. After an error it is still warm, or gone.
	Claim(ctx context.Context, id, workspace string) error
}

// Warm is a sandbox from a pool: running, with a stream to its agent, and nobody's yet. Whoever takes it must claim or
// remove it.
type Warm struct {
	ID     string
	Stream io.ReadWriteCloser
}

// PoolConfig is what a Pool works with. Every field must be set.
type PoolConfig struct {
	Driver    Warmer
	Isolation Isolation
	Limits    Limits
	Min, Max  int           // sandboxes that are kept warm: at least and at most
	Window    time.Duration // the pool keeps as many as were taken in the busiest window of the last demandWindows
	MaxAge    time.Duration // an older one is replaced
	Log       *slog.Logger
}

const (
	demandWindows  = 10
	poolTimeout    = time.Minute // for making or removing one sandbox
	poolRetry      = 5 * time.Second
	poolRetryLimit = 2 * time.Minute
)

// Pool keeps warm sandboxes, so that a session need not wait for one to start. Run must be running for it to fill.
type Pool struct {
	cfg  PoolConfig
	wake chan struct{}

	mu     sync.Mutex
	warm   []pooled        // oldest first
	given  map[string]bool // taken, and not claimed or discarded yet
	taken  [demandWindows]int
	window time.Time // when the newest of taken began
}

type pooled struct {
	Warm
	made time.Time
}

// NewPool returns an empty pool.
func NewPool(cfg PoolConfig) *Pool {
	return &Pool{cfg: cfg, wake: make(chan struct{}, 1), given: map[string]bool{}, window: time.Now()}
}

// Take returns a warm sandbox if there is one, and makes the pool fill up again.
func (p *Pool) Take() (Warm, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(time.Now())
	p.taken[0]++
	p.signal()
	if len(p.warm) == 0 {
		return Warm{}, false
	}
	// The newest: its agent's pages are still in the caches, and the oldest are replaced first.
	last := len(p.warm) - 1
	one := p.warm[last]
	p.warm = p.warm[:last]
	p.given[one.ID] = true
	return one.Warm, true
}

// Claim gives a sandbox that was taken its workspace. After an error it must be discarded.
func (p *Pool) Claim(ctx context.Context, one Warm, workspace string) error {
	if err := p.cfg.Driver.Claim(ctx, one.ID, workspace); err != nil {
		return err
	}
	p.forget(one.ID)
	return nil
}

// Discard removes a sandbox that was taken and is not needed after all. It is never put back: it may be in an odd state.
func (p *Pool) Discard(one Warm) {
	_ = one.Stream.Close() // the sandbox goes with it
	p.remove(one.ID)
	p.forget(one.ID)
}

func (p *Pool) forget(id string) {
	p.mu.Lock()
	delete(p.given, id)
	p.mu.Unlock()
}

// Len returns how many sandboxes are warm.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.warm)
}

// Holds reports whether the sandbox is one of the pool's, or was taken and is being claimed.
func (p *Pool) Holds(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.given[id] || slices.ContainsFunc(p.warm, func(one pooled) bool { return one.ID == id })
}

// turn moves the windows of demand on to the moment.
func (p *Pool) turn(now time.Time) {
	for ; now.Sub(p.window) >= p.cfg.Window; p.window = p.window.Add(p.cfg.Window) {
		if now.Sub(p.window) >= demandWindows*p.cfg.Window {
			p.taken, p.window = [demandWindows]int{}, now
			return
		}
		copy(p.taken[1:], p.taken[:])
		p.taken[0] = 0
	}
}

// want returns how many should be warm: as many as the busiest recent window took, within the bounds.
func (p *Pool) want(now time.Time) int {
	p.turn(now)
	most := 0
	for _, n := range p.taken {
		most = max(most, n)
	}
	return min(max(most, p.cfg.Min), p.cfg.Max)
}

func (p *Pool) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Run fills the pool until the context ends, and then removes what is in it. It replaces what is too old or has died.
func (p *Pool) Run(ctx context.Context) {
	defer p.empty()
	wait := poolRetry
	for {
		p.drop(ctx)
		pause := p.cfg.Window
		if p.Len() < p.wanted() {
			if err := p.add(ctx); err == nil {
				wait = poolRetry
				continue
			} else if ctx.Err() == nil {
				p.cfg.Log.Warn("cannot make a sandbox for the pool", "err", err)
				pause, wait = wait, min(2*wait, poolRetryLimit)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-p.wake:
			timer.Stop()
		}
	}
}

func (p *Pool) wanted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.want(time.Now())
}

func (p *Pool) add(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, poolTimeout)
	defer cancel()
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	spec := Spec{ID: id.String(), Isolation: p.cfg.Isolation, Limits: p.cfg.Limits}
	if err := p.cfg.Driver.CreateWarm(ctx, spec); err != nil {
		return err
	}
	stream, err := p.cfg.Driver.Dial(ctx, spec.ID)
	if err != nil {
		p.remove(spec.ID)
		return err
	}
	p.mu.Lock()
	p.warm = append(p.warm, pooled{Warm{spec.ID, stream}, time.Now()})
	p.mu.Unlock()
	return nil
}

// drop removes what is too old, too many, or dead.
func (p *Pool) drop(ctx context.Context) {
	listCtx, cancel := context.WithTimeout(ctx, poolTimeout)
	list, err := p.cfg.Driver.List(listCtx)
	cancel()
	dead := map[string]bool{}
	for _, one := range list {
		dead[one.ID] = one.State == Dead
	}
	now := time.Now()
	p.mu.Lock()
	var out, keep []pooled
	for _, one := range p.warm {
		isDead, listed := dead[one.ID]
		if now.Sub(one.made) >= p.cfg.MaxAge || err == nil && (isDead || !listed) {
			out = append(out, one)
		} else {
			keep = append(keep, one)
		}
	}
	excess := max(0, len(keep)-p.want(now))
	out, p.warm = append(out, keep[:excess]...), keep[excess:]
	p.mu.Unlock()
	for _, one := range out {
		_ = one.Stream.Close() // the sandbox goes with it
		p.remove(one.ID)
	}
}

func (p *Pool) remove(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), poolTimeout)
	defer cancel()
	if err := p.cfg.Driver.Remove(ctx, id); err != nil {
		p.cfg.Log.Warn("cannot remove a sandbox of the pool; it is tried again later", "sandbox", id, "err", err)
	}
}

func (p *Pool) empty() {
	p.mu.Lock()
	all := p.warm
	p.warm = nil
	p.mu.Unlock()
	for _, one := range all {
		_ = one.Stream.Close() // the sandbox goes with it
		p.remove(one.ID)
	}
}
