package docker

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"vivarium/internal/sandbox"
)

// maxStats bounds the daemon's answer, in bytes. A machine with a thousand processors takes a tenth of it.
const maxStats = 1 << 20

// Usage implements sandbox.Driver. What is on the disk is part of the memory and cannot be told from it.
func (d *Driver) Usage(ctx context.Context, id string) (sandbox.Usage, error) {
	c, err := d.find(ctx, id)
	if err != nil {
		return sandbox.Usage{}, err
	}
	stats, err := ask(ctx, shortTimeout, func(ctx context.Context) (container.StatsResponse, error) {
		var stats container.StatsResponse
		result, err := d.engine.ContainerStats(ctx, c.ID, client.ContainerStatsOptions{})
		if err != nil {
			return stats, err
		}
		defer result.Body.Close()
		return stats, json.NewDecoder(io.LimitReader(result.Body, maxStats)).Decode(&stats)
	})
	if err != nil {
		return sandbox.Usage{}, err
	}
	if running(c.State.Status) {
		d.countKills(ctx, id, c.ID, stats.Read)
	}
	memory := stats.MemoryStats
	u := sandbox.Usage{
		CPU:         time.Duration(stats.CPUStats.CPUUsage.TotalUsage),
		MemoryBytes: max(int64(memory.Usage)-int64(droppable(memory)), 0), // the two are read one after the other
		PeakBytes:   int64(max(memory.MaxUsage, memory.Usage)),
	}
	d.knowing(id, func(k *knowledge) {
		k.peak = max(k.peak, u.PeakBytes) // cgroups of version 2 have no peak that Docker reports
		u.PeakBytes, u.MemoryKills = k.peak, k.kills
	})
	if limit := c.HostConfig.PidsLimit; c.Config.Labels[isolationLabel] == string(sandbox.Runc) && limit != nil {
		u.Processes = processes(int(stats.PidsStats.Current), int(*limit))
	}
	return u, nil
}

// droppable is the page cache in use that the kernel can drop.
func droppable(m container.MemoryStats) uint64 {
	if n, ok := m.Stats["total_inactive_file"]; ok { // cgroups of version 1
		return n
	}
	return m.Stats["inactive_file"]
}

// processes makes the user's processes of what the cgroup counts, which includes the agent's few threads. It reaches the
// user's limit exactly when the cgroup has reached its own.
func processes(counted, limit int) int {
	if counted >= limit {
		return limit - pidsForAgent
	}
	return min(counted, limit-pidsForAgent-1)
}
