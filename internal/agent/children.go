package agent

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// children starts processes and reaps them, and whatever else becomes a child of the agent because its parent died. One
// reaper waits for all, so package os must not wait for any: two waiters would take each other's news.
type children struct {
	mu      sync.Mutex // held while a process is started and while one is reaped
	waiting map[int]chan<- syscall.WaitStatus
}

func newChildren() *children {
	c := &children{waiting: map[int]chan<- syscall.WaitStatus{}}
	// Makes orphans ours also where the agent is not PID 1. It fails where the kernel does not know it, which is harmless.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	go func() {
		for range died {
			c.reap()
		}
	}()
	return c
}

func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if done := c.waiting[pid]; done != nil {
			delete(c.waiting, pid)
			done <- status
		}
	}
}

// start runs a program and returns a channel that its end is sent to.
func (c *children) start(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	done := make(chan syscall.WaitStatus, 1)
	c.waiting[pid] = done
	return pid, done, nil
}
