//go:build docker

package docker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/docker"
	"vivarium/internal/sandbox/sandboxtest"
)

// forEach runs the test with sandboxes of each isolation.
func forEach(t *testing.T, test func(t *testing.T, isolation sandbox.Isolation)) {
	for _, isolation := range []sandbox.Isolation{sandbox.GVisor, sandbox.Runc} {
		t.Run(string(isolation), func(t *testing.T) { test(t, isolation) })
	}
}

// shell runs a script in the sandbox, which may end in any way.
func shell(t *testing.T, a *sandboxtest.RealAgent, limit time.Duration, script string) (string, int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return a.Shell(ctx, script)
}

// must runs a script that must succeed.
func must(t *testing.T, a *sandboxtest.RealAgent, script string) string {
	t.Helper()
	out, code, err := shell(t, a, 30*time.Second, script)
	if err != nil || code != 0 {
		t.Fatalf("%s: code %d, %v\n%s", script, code, err, out)
	}
	return out
}

// answers fails the test when the agent does not answer within the limit, and returns its id.
func answers(t *testing.T, a *sandboxtest.RealAgent, limit time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	boot, err := a.Boot(ctx)
	if err != nil {
		t.Fatalf("want the agent to answer within %v, got %v", limit, err)
	}
	return boot
}

// state returns how the driver lists the sandbox; empty when it does not.
func state(t *testing.T, d *docker.Driver, id string) sandbox.State {
	t.Helper()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i.State
		}
	}
	return ""
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestS2_AForkBombHitsItsOwnSandboxOnly(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		d := open(t, config(t))
		l := limits
		l.Processes = 64
		spec := specOf(isolation, l)
		agent := made(t, d, spec)
		neighbour := made(t, d, specOf(isolation, l))
		// Each process that could be made stays; what the shell says when it could not is the limit's own error.
		out, _, err := shell(t, agent, 20*time.Second, `for i in $(seq 200); do sleep 60 & done 2>&1 | head -3; true`)
		if err != nil || !strings.Contains(out, "Resource temporarily unavailable") {
			t.Errorf("want the limit's error inside the sandbox, got %q, %v", out, err)
		}
		bomber := dial(t, d, spec.ID)
		bomb := make(chan struct{})
		go func() {
			defer close(bomb)
			_, _, _ = shell(t, bomber, time.Minute, `b() { b | b & }; b; sleep 60`) // it ends with the stream
		}()
		if got := must(t, neighbour, `for i in $(seq 50); do sleep 3 & done; jobs -r | wc -l`); strings.TrimSpace(got) != "50" {
			t.Errorf("want the neighbour's 50 processes, got %q", got)
		}
		answers(t, agent, 5*time.Second)
		within(t, 10*time.Second, "the limit told as reached, where Docker can", func() bool {
			usage, err := d.Usage(t.Context(), spec.ID)
			return err == nil && (isolation != sandbox.Runc || usage.Processes == 64)
		})
		_ = bomber.Close() // ends the goroutine above
		<-bomb
	})
}

// eatMemory is a program that takes so many MiB and says when it has them.
func eatMemory(mib int) string {
	return fmt.Sprintf(`python3 -c '
blocks = []
for _ in range(%d):
    blocks.append(bytearray(b"x") * (16 << 20))
print("ate it all")'`, mib/16)
}

func TestS3_AMemoryBombHitsItsOwnSandboxOnlyAndIsCounted(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		d := open(t, config(t))
		l := limits
		l.MemoryBytes = 256 << 20
		spec := specOf(isolation, l)
		agent := made(t, d, spec)
		neighbour := made(t, d, specOf(isolation, l))
		if usage, err := d.Usage(t.Context(), spec.ID); err != nil || usage.MemoryKills != 0 {
			t.Fatalf("want no kills at the start, got %+v, %v", usage, err)
		}
		out, code, err := shell(t, agent, 15*time.Second, eatMemory(512))
		if strings.Contains(out, "ate it all") || err == nil && code == 0 {
			t.Errorf("want the limit to be felt, got code %d and %q", code, out)
		}
		// The limit may take gVisor's kernel itself; else the agent goes on.
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := agent.Boot(ctx); err == nil {
			within(t, 5*time.Second, "the kill counted", func() bool {
				usage, err := d.Usage(t.Context(), spec.ID)
				return err == nil && usage.MemoryKills > 0 && usage.PeakBytes <= l.MemoryBytes && usage.PeakBytes > l.MemoryBytes*8/10
			})
			// The limit takes one process: what follows within moments of it is blamed on it.
			killSandbox(t, spec.ID)
		}
		exit, err := d.Wait(t.Context(), spec.ID)
		if err != nil || !exit.OutOfMemory || !strings.Contains(exit.Detail, "256 MiB") {
			t.Errorf("want an end by memory that names the limit, got %+v, %v", exit, err)
		}
		answers(t, neighbour, 5*time.Second)
		if err := d.Remove(t.Context(), spec.ID); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		next := specOf(isolation, l)
		next.Workspace = spec.Workspace
		if err := d.Create(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		discardLater(t, d, next)
		answers(t, dial(t, d, next.ID), 5*time.Second)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("want a new sandbox within 5 s, it took %v", took)
		}
	})
}

func TestS4_ADiskBombIsStoppedAtTheLimits(t *testing.T) {
	for name, l := range map[string]sandbox.Limits{
		"by the disk's limit":       {CPUs: 1, MemoryBytes: 1 << 30, Processes: 64, DiskBytes: 64 << 20, HomeBytes: 64 << 20},
		"by half of the memory's":   {CPUs: 1, MemoryBytes: 256 << 20, Processes: 64, DiskBytes: 2 << 30, HomeBytes: 64 << 20},
		"at the smallest there are": {CPUs: 1, MemoryBytes: sandbox.MinMemoryBytes, Processes: 16, DiskBytes: sandbox.MinDiskBytes, HomeBytes: 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
				d := open(t, config(t))
				spec := specOf(isolation, l)
				agent := made(t, d, spec)
				for _, dir := range []string{"/workspace", "/tmp", "/var/tmp"} {
					out, code, err := shell(t, agent, 15*time.Second, "head -c 1100M /dev/zero >"+dir+"/bomb")
					if err != nil || code == 0 || !strings.Contains(out, "No space left on device") {
						t.Errorf("%s: want no space left on device, got code %d, %v, %q", dir, code, err, out)
					}
				}
				if out, code, err := shell(t, agent, 15*time.Second, "head -c 600M /dev/zero >/dev/shm/bomb; rm -f /dev/shm/bomb; false"); err != nil || code == 0 {
					t.Errorf("/dev/shm: want an error, got code %d, %v, %q", code, err, out)
				}
				sizes := strings.Fields(must(t, agent, "stat -c %s /workspace/bomb /tmp/bomb /var/tmp/bomb"))
				sum, most := atoi(t, sizes[0])+atoi(t, sizes[1])+atoi(t, sizes[2]), min(l.DiskBytes, l.MemoryBytes/2)
				if sum > most || sum < most*9/10 {
					t.Errorf("want almost %d bytes on the disk, got %d", most, sum)
				}
				must(t, agent, "rm /workspace/bomb /tmp/bomb /var/tmp/bomb && echo again >/workspace/file && echo again >~/file")
				if state(t, d, spec.ID) != sandbox.Running {
					t.Error("want the sandbox alive, it has ended")
				}
			})
		})
	}
}

// gVisor keeps no count of inodes; there the memory limit bounds them.
func TestS4_ManyEmptyFilesMeetABound(t *testing.T) {
	d := open(t, config(t))
	agent := made(t, d, specOf(sandbox.Runc, limits))
	for _, dir := range []string{"/workspace", "/tmp", "/var/tmp"} {
		out := must(t, agent, `mkdir `+dir+`/many && cd `+dir+`/many && python3 -c '
import errno
n = 0
try:
    while n < 100_000:
        open(str(n), "w").close()
        n += 1
except OSError as e:
    print(errno.errorcode[e.errno], n)
'`)
		if !strings.HasPrefix(out, "ENOSPC ") {
			t.Errorf("%s: want a bound on files, got %q", dir, out)
		}
	}
}

func TestS5_ProcessorTimeIsLimited(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		d := open(t, config(t))
		l := limits
		l.CPUs = 0.25
		spec := specOf(isolation, l)
		agent := made(t, d, spec)
		answers(t, agent, 10*time.Second)
		begun := time.Now()
		first, err := d.Usage(t.Context(), spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if out, code, err := shell(t, agent, 20*time.Second, "for i in 1 2 3 4; do timeout 3 sh -c 'while :; do :; done' & done; wait"); err != nil {
			t.Fatalf("spinning: code %d, %v, %q", code, err, out)
		}
		last, err := d.Usage(t.Context(), spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		used, allowed := last.CPU-first.CPU, time.Since(begun)/4
		if used > allowed*11/10+100*time.Millisecond || used <= 0 {
			t.Errorf("want at most %v of processor time, got %v", allowed, used)
		}
		// On a busy machine the sandbox might have got no more without any limit.
		if n := throttled(t, spec.ID); n < 5 {
			t.Errorf("want the limit to have held the sandbox back, it did so %d times", n)
		}
	})
}

// throttled returns how often the processor limit has stopped the sandbox.
func throttled(t *testing.T, id string) uint64 {
	t.Helper()
	result, err := direct(t).ContainerStats(t.Context(), "vivarium-"+id, client.ContainerStatsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer result.Body.Close()
	var stats container.StatsResponse
	if err := json.NewDecoder(result.Body).Decode(&stats); err != nil {
		t.Fatal(err)
	}
	return stats.CPUStats.ThrottlingData.ThrottledPeriods
}

func TestS8_NeighboursDoNotSeeEachOther(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		d := open(t, config(t))
		a, b := made(t, d, specOf(isolation, limits)), made(t, d, specOf(isolation, limits))
		must(t, a, `echo secret >/tmp/mark; echo secret >/dev/shm/mark; echo secret >/workspace/mark; echo secret >~/mark
			python3 -c 'import socket, time; s = socket.socket(socket.AF_UNIX); s.bind("\0mark"); time.sleep(20)' &`)
		lines := strings.Fields(must(t, b, `ls /tmp/mark /dev/shm/mark /workspace/mark ~/mark 2>/dev/null
			grep -c mark /proc/net/unix; ls -d /proc/[0-9]* | wc -l`))
		if len(lines) != 2 || lines[0] != "0" || atoi(t, lines[1]) > 10 {
			t.Errorf("want nothing of the neighbour and few processes, got %q", lines)
		}
	})
}

func TestS3_AnEndLongAfterAKillIsNotBlamedOnTheMemoryLimit(t *testing.T) {
	d := open(t, config(t))
	l := limits
	l.MemoryBytes = 256 << 20
	spec := specOf(sandbox.Runc, l)
	agent := made(t, d, spec)
	if out, code, err := shell(t, agent, 15*time.Second, eatMemory(512)); err != nil || code == 0 {
		t.Fatalf("want the program killed and its sandbox alive, got code %d, %v, %q", code, err, out)
	}
	killed := time.Now()
	within(t, 15*time.Second, "the limit's kill long past", func() bool { return time.Since(killed) > 11*time.Second })
	killSandbox(t, spec.ID)
	if exit, err := d.Wait(t.Context(), spec.ID); err != nil || exit.OutOfMemory {
		t.Errorf("want an end not by memory, got %+v, %v", exit, err)
	}
}

func TestS1_TheAgentHasTheThreeRightsThatItNeedsAndNoMore(t *testing.T) {
	forEach(t, func(t *testing.T, isolation sandbox.Isolation) {
		agent := made(t, open(t, config(t)), specOf(isolation, limits))
		got := strings.Fields(must(t, agent, `grep -E '^Cap(Prm|Eff|Bnd)' /proc/1/status | cut -f2`))
		const three = "00000000000000e0" // KILL, SETGID, SETUID
		if len(got) != 3 || got[0] != three || got[1] != three || strings.Trim(got[2], "0") != "" {
			t.Errorf("want permitted and effective %s and bounding none, got %q", three, got)
		}
	})
}
