package files

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vivarium/internal/agentproto"
)

const (
	// batchFor is how long changes are gathered before they are told.
	batchFor = 20 * time.Millisecond
	// pollEvery is how often "anything may have changed" is said where the kernel does not watch everything.
	pollEvery = 2 * time.Second
)

// maxWatches bounds the watches under way.
const maxWatches = 2

// watches are those under way, the oldest first. The server needs one; others were left when its connection broke and
// have not noticed yet. So a new one is never refused: it ends the oldest.
type watches struct {
	mu  sync.Mutex
	end []*context.CancelFunc
}

// begin notes a watch that cancel ends, and returns what to call when it has ended.
func (w *watches) begin(cancel context.CancelFunc) (ended func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.end) >= maxWatches {
		(*w.end[0])()
		w.end = w.end[1:]
	}
	w.end = append(w.end, &cancel)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.end = slices.DeleteFunc(w.end, func(one *context.CancelFunc) bool { return one == &cancel })
	}
}

// watch tells of changes until the stream is lost.
func (w *Worker) watch(rw http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer w.watches.begin(cancel)()
	news := newBatch()
	var readers sync.WaitGroup
	defer readers.Wait()
	defer cancel() // before the wait: it ends the reader
	poll := true
	watching, err := newInotify(w.tree, r.URL.Query()["ignore"])
	if err == nil {
		defer watching.close()
		watching.add("", 0)
		poll = watching.full
		readers.Go(func() {
			defer cancel()
			for watching.read(news.add) == nil {
				if watching.full {
					news.poll()
				}
			}
		})
		// Ends the reader, whatever ended this request.
		stop := context.AfterFunc(ctx, watching.close)
		defer stop()
	}
	if poll {
		w.log.Warn("the kernel cannot watch all folders; changes are looked for every two seconds", "err", err)
		news.poll()
	}
	rw.Header().Set("Content-Type", "application/x-ndjson")
	news.add("", true)
	news.send(ctx, rw)
	return nil
}

// batch gathers changes between two lines. It is bounded: too many are one "all".
type batch struct {
	wake    chan struct{} // capacity 1
	polling chan struct{} // closed when there must be polling
	once    sync.Once

	mu    sync.Mutex
	paths map[string]struct{}
	all   bool
}

func newBatch() *batch {
	return &batch{wake: make(chan struct{}, 1), polling: make(chan struct{}), paths: map[string]struct{}{}}
}

func (b *batch) poll() { b.once.Do(func() { close(b.polling) }) }

// add notes a change. JSON cannot carry a path that is not UTF-8: the nearest folder that is says enough.
func (b *batch) add(path string, all bool) {
	for !utf8.ValidString(path) {
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	b.mu.Lock()
	if all || path == "" || len(b.paths) >= agentproto.MaxWatchPaths {
		b.all = true
		clear(b.paths)
	}
	if !b.all {
		b.paths[path] = struct{}{}
	}
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *batch) take() agentproto.Changes {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := agentproto.Changes{All: b.all}
	for p := range b.paths {
		changes.Paths = append(changes.Paths, p)
	}
	b.all = false
	clear(b.paths)
	return changes
}

// send writes a line for each batch until the context ends or the stream is lost.
func (b *batch) send(ctx context.Context, rw http.ResponseWriter) {
	controller := http.NewResponseController(rw)
	gather := time.NewTimer(0)
	<-gather.C
	defer gather.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-b.wake:
		case <-tick.C:
			select {
			case <-b.polling:
				b.add("", true)
			default:
				continue
			}
		}
		if !first {
			gather.Reset(batchFor)
			select {
			case <-ctx.Done():
				return
			case <-gather.C:
			}
		}
		if changes := b.take(); changes.All || len(changes.Paths) > 0 {
			if _, err := rw.Write(line(changes)); err != nil || controller.Flush() != nil {
				return
			}
		}
	}
}

// line returns changes as one line within its bound.
func line(changes agentproto.Changes) []byte {
	if text, err := json.Marshal(changes); err == nil && len(text) < agentproto.MaxLine {
		return append(text, '\n')
	}
	return []byte(`{"all":true}` + "\n")
}
