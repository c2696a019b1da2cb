package agent

import (
	"io"
	"sync"
	"time"
)

// maxInput bounds what is typed but not yet taken by the terminal, in bytes.
const maxInput = 1 << 20

// inputPatience is how long somebody's input may wait for room before the connection is given up. A lost connection is not
// noticed meanwhile, because nobody reads it.
const inputPatience = 10 * time.Second

// keepInput is the largest buffer that is kept for the next input.
const keepInput = 64 << 10

// inputQueue moves input to a PTY without making those who type wait for a program that does not read: their
// acknowledgements come by the same way, and the program may be waiting for those.
type inputQueue struct {
	mu      sync.Mutex
	news    sync.Cond // there is input, or it is closed
	room    sync.Cond
	pending []byte
	closed  bool
}

func newInputQueue(to io.Writer) *inputQueue {
	q := &inputQueue{}
	q.news.L, q.room.L = &q.mu, &q.mu
	go q.pump(to)
	return q
}

// put queues p, and waits as long as it may for room. It reports whether p was taken; input for a terminal that has
// ended is taken and forgotten.
func (q *inputQueue) put(p []byte, patience time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if full := func() bool { return !q.closed && len(q.pending)+len(p) > maxInput }; full() {
		deadline := time.Now().Add(patience)
		wake := time.AfterFunc(patience, q.room.Broadcast)
		defer wake.Stop()
		for full() {
			if !time.Now().Before(deadline) {
				return false
			}
			q.room.Wait()
		}
	}
	if !q.closed {
		q.pending = append(q.pending, p...)
		q.news.Signal()
	}
	return true
}

func (q *inputQueue) pump(to io.Writer) {
	var batch []byte
	for {
		q.mu.Lock()
		for len(q.pending) == 0 && !q.closed {
			q.news.Wait()
		}
		if q.closed {
			q.mu.Unlock()
			return
		}
		if cap(batch) > keepInput {
			batch = nil
		}
		batch, q.pending = q.pending, batch[:0]
		q.room.Broadcast()
		q.mu.Unlock()
		if _, err := to.Write(batch); err != nil {
			q.close()
			return
		}
	}
}

func (q *inputQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.pending = nil
	q.news.Broadcast()
	q.room.Broadcast()
}
