package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

const (
	// waitPeriod is how long one question for the end stays open. It bounds how long a connection that died without a word
	// is believed.
	waitPeriod = 10 * time.Second
	waitPause  = 500 * time.Millisecond // between questions while the daemon is away
	// A sandbox counts as killed by its memory limit when the limit has killed something in it shortly before the end.
	memoryBlame = 10 * time.Second
)

// Wait implements sandbox.Driver. While the daemon is away nobody knows whether the sandbox lives: it goes on waiting.
func (d *Driver) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	var first string // the container's id
	for {
		c, err := d.find(ctx, id)
		switch {
		case ctx.Err() != nil:
			return sandbox.Exit{}, ctx.Err()
		case first != "" && (fault.Is(err, fault.NotFound) || err == nil && c.ID != first):
			return d.removed(id), nil
		case fault.Is(err, fault.Unavailable):
			pause(ctx, waitPause)
		case err != nil:
			return sandbox.Exit{}, err
		case running(c.State.Status):
			first = c.ID
			d.knowing(id, func(*knowledge) {}) // so that a removal by others is told from one by this server
			d.awaitEnd(ctx, c.ID)
		default:
			return d.exit(ctx, id, c), nil
		}
	}
}

// awaitEnd returns when the container has ended, when the time is up, or when the daemon could not say.
func (d *Driver) awaitEnd(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(ctx, waitPeriod)
	defer cancel()
	result := d.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case <-result.Result:
	case <-result.Error: // what it means shows in the next look at the container
	}
}

// removed says how a sandbox ended that is no more.
func (d *Driver) removed(id string) sandbox.Exit {
	if d.wasStopped(id) {
		return sandbox.Exit{Detail: "The sandbox was stopped."}
	}
	return sandbox.Exit{Detail: "The sandbox was removed."}
}

func (d *Driver) wasStopped(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.known[id]
	return k == nil || k.stopped // what nobody knows of any more was removed by this server
}

// exit says how a sandbox ended whose container is still there.
func (d *Driver) exit(ctx context.Context, id string, c container.InspectResponse) sandbox.Exit {
	stopped := false
	d.knowing(id, func(k *knowledge) { stopped = k.stopped })
	switch {
	case stopped:
		return sandbox.Exit{Detail: "The sandbox was stopped."}
	case d.outOfMemory(ctx, id, c):
		return sandbox.Exit{OutOfMemory: true,
			Detail: fmt.Sprintf("The sandbox reached its memory limit of %s and was ended.", mebibytes(c.HostConfig.Memory))}
	case c.State.Error != "":
		return sandbox.Exit{Detail: "The sandbox could not be started."}
	}
	return sandbox.Exit{Detail: "The sandbox ended unexpectedly."}
}

// outOfMemory reports whether the memory limit ended the sandbox. The daemon's own word is of a container whose limit has
// ever killed anything in it; when it did so last is in the daemon's events, if it still has them.
func (d *Driver) outOfMemory(ctx context.Context, id string, c container.InspectResponse) bool {
	ended, err := time.Parse(time.RFC3339Nano, c.State.FinishedAt)
	if err != nil {
		return c.State.OOMKilled
	}
	d.countKills(ctx, id, c.ID, ended)
	return d.blames(id, ended, c.State.OOMKilled)
}

// blames decides by the last kill that is known, and by the daemon's word where none is.
func (d *Driver) blames(id string, ended time.Time, everKilled bool) bool {
	var last int64
	d.knowing(id, func(k *knowledge) { last = k.lastKill })
	if last == 0 {
		return everKilled
	}
	return ended.Sub(time.Unix(0, last)) < memoryBlame
}

// countKills adds the kills by the memory limit until a moment of the daemon's clock to those that were counted before. It
// is best effort: the daemon remembers its last few hundred events, and none from before its own start.
func (d *Driver) countKills(ctx context.Context, id, containerID string, until time.Time) {
	var since int64
	d.knowing(id, func(k *knowledge) { since = k.lastKill })
	if since > until.UnixNano() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shortTimeout)
	defer cancel()
	result := d.engine.Events(ctx, client.EventsListOptions{
		Since:   stamp(since + 1),
		Until:   stamp(until.UnixNano()),
		Filters: client.Filters{}.Add("container", containerID).Add("event", string(events.ActionOOM)),
	})
	for {
		select {
		case event := <-result.Messages:
			d.knowing(id, func(k *knowledge) {
				if event.TimeNano > k.lastKill {
					k.kills, k.lastKill = k.kills+1, event.TimeNano
				}
			})
		case <-result.Err: // the end of the list, or no list
			return
		}
	}
}

// stamp writes a moment as the daemon takes it: seconds and nanoseconds.
func stamp(nanos int64) string { return fmt.Sprintf("%d.%09d", nanos/1e9, nanos%1e9) }
