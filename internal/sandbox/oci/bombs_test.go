package oci_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/internal/sandbox/sandboxtest"
)

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

// answers fails the test when the agent does not answer within the limit.
func answers(t *testing.T, a *sandboxtest.RealAgent, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := a.Boot(ctx); err != nil {
		t.Fatalf("want the agent to answer within %v, got %v", limit, err)
	}
}

func TestS2_AForkBombHitsItsOwnSandboxOnly(t *testing.T) { forEach(t, testForkBomb) }

func testForkBomb(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	d := open(t, cfg)
	l := limits
	l.Processes = 64
	bombed, agent := made(t, d, isolation, l)
	_, neighbour := made(t, d, isolation, l)

	// Each process that could be made stays.
	out, _, err := shell(t, agent, 20*time.Second, `ulimit -u; python3 -c '
import os, time
n = 0
try:
    while n < 200:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        n += 1
except OSError as e:
    print(n > 30, e.strerror)
'`)
	if err != nil || out != "64\nTrue Resource temporarily unavailable\n" {
		t.Errorf("want a limit of 64 and its error inside the sandbox, got %q, %v", out, err)
	}
	bomb := make(chan struct{})
	bomber := dial(t, d, bombed.ID)
	go func() {
		defer close(bomb)
		_, _, _ = shell(t, bomber, time.Minute, `b() { b | b & }; b; sleep 60`) // it ends with the stream
	}()
	within(t, 10*time.Second, "many processes of the bomb", func() bool {
		return len(processes("/vivarium/"+cfg.Installation+"/"+bombed.ID)) > 40
	})
	if got := must(t, neighbour, `for i in $(seq 50); do sleep 3 & done; jobs -r | wc -l`); strings.TrimSpace(got) != "50" {
		t.Errorf("want the neighbour's 50 processes, got %q", got)
	}
	answers(t, agent, 5*time.Second)
	most := map[sandbox.Isolation]int{sandbox.GVisor: 64*4 + 512, sandbox.Runc: 64 + 128}[isolation]
	if n := len(processes("/vivarium/" + cfg.Installation + "/" + bombed.ID)); n > most {
		t.Errorf("want the machine's processes of the sandbox within their cap of %d, got %d", most, n)
	}
	answers(t, dial(t, d, bombed.ID), 10*time.Second) // a bridge can be made meanwhile
	_ = bomber.Close()                                // ends the goroutine above
	<-bomb
}

// eatMemory is a program that takes so many MiB and says when it has them.
func eatMemory(mib int) string {
	return fmt.Sprintf(`python3 -c '
blocks = []
for _ in range(%d):
    blocks.append(bytearray(b"x") * (16 << 20))
print("ate it all")'`, mib/16)
}

// eatMemoryTogether is a program whose processes each take little, and more than so many MiB together.
func eatMemoryTogether(mib int) string {
	return fmt.Sprintf(`python3 -c '
import os, time
children = []
for _ in range(%d):
    pid = os.fork()
    if pid == 0:
        block = bytearray(b"x") * (16 << 20)
        time.sleep(1)
        os._exit(0)
    children.append(pid)
if all(os.waitpid(pid, 0)[1] == 0 for pid in children):
    print("ate it all")
else:
    raise SystemExit(1)'`, mib/16)
}

func TestS3_AMemoryBombHitsItsOwnSandboxOnly(t *testing.T) { forEach(t, testMemoryBomb) }

func testMemoryBomb(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	d := open(t, cfg)
	l := limits
	l.MemoryBytes = 256 << 20
	spec, agent := made(t, d, isolation, l)
	_, neighbour := made(t, d, isolation, l)
	for name, bomb := range map[string]string{
		"heap":       eatMemory(512),
		"processes":  eatMemoryTogether(640),
		"shm":        `head -c 500M /dev/zero >/dev/shm/bomb; rm -f /dev/shm/bomb; false`,
		"page cache": `head -c 200M /dev/urandom >/workspace/bomb && for i in 1 2 3; do cat /workspace/bomb >/dev/null; done; rm -f /workspace/bomb; false`,
	} {
		out, code, err := shell(t, agent, 15*time.Second, bomb)
		if strings.Contains(out, "ate it all") || err == nil && code == 0 {
			t.Errorf("%s: want the limit to be felt, got code %d and %q", name, code, out)
		}
		if !running(t, d, spec.ID) {
			// The limit may take gVisor's kernel itself; then it must be said, and a new sandbox must come soon.
			exit, err := d.Wait(t.Context(), spec.ID)
			if err != nil || !exit.OutOfMemory || !strings.Contains(exit.Detail, "256 MiB") {
				t.Errorf("%s: want an end by memory that names the limit, got %+v, %v", name, exit, err)
			}
			begun := time.Now()
			spec, agent = made(t, d, isolation, l)
			answers(t, agent, 5*time.Second)
			if took := time.Since(begun); took > 5*time.Second {
				t.Errorf("%s: want a new sandbox within 5 s, it took %v", name, took)
			}
		}
		answers(t, neighbour, 5*time.Second)
	}
	usage, err := d.Usage(t.Context(), spec.ID)
	if err != nil || usage.PeakBytes > l.MemoryBytes+1<<20 { // the kernel looks after a page has been counted
		t.Errorf("want a peak within the limit, got %+v, %v", usage, err)
	}
}

func TestS3_TheLimitsVictimsAreCounted(t *testing.T) { forEach(t, testMemoryKills) }

func testMemoryKills(t *testing.T, isolation sandbox.Isolation) {
	d := open(t, config(t))
	l := limits
	l.MemoryBytes = 256 << 20
	spec, agent := made(t, d, isolation, l)
	before, err := d.Usage(t.Context(), spec.ID)
	if err != nil || before.MemoryKills != 0 {
		t.Fatalf("want no kills at the start, got %+v, %v", before, err)
	}
	_, code, err := shell(t, agent, 15*time.Second, eatMemory(512))
	after, usageErr := d.Usage(t.Context(), spec.ID)
	if usageErr != nil || after.MemoryKills == 0 {
		t.Errorf("want the kill counted, got %+v, %v (the program ended with %d, %v)", after, usageErr, code, err)
	}
}

func running(t *testing.T, d *oci.Driver, id string) bool {
	t.Helper()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.ID == id {
			return i.State == sandbox.Running
		}
	}
	return false
}

// taken returns how many bytes of the file system with the folder are in use.
func taken(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

func TestS4_ADiskBombIsStoppedAtTheLimits(t *testing.T) { forEach(t, testDiskBomb) }

func testDiskBomb(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	d := open(t, cfg)
	l := limits
	l.DiskBytes, l.HomeBytes = 64<<20, 64<<20
	spec, agent := made(t, d, isolation, l)
	_, neighbour := made(t, d, isolation, l)
	before := taken(t, cfg.Dir)
	for _, dir := range []string{"/workspace", "/tmp", "/var/tmp", "/home/user"} {
		out, code, err := shell(t, agent, 15*time.Second, "head -c 300M /dev/urandom >"+dir+"/bomb")
		if err != nil || code == 0 || !strings.Contains(out, "No space left on device") {
			t.Errorf("%s: want no space left on device, got code %d, %v, %q", dir, code, err, out)
		}
	}
	for _, dir := range []string{"/dev/shm", "/run"} {
		if out, code, err := shell(t, agent, 15*time.Second, "head -c 600M /dev/zero >"+dir+"/bomb; rm -f "+dir+"/bomb; false"); err != nil || code == 0 {
			t.Errorf("%s: want an error, got code %d, %v, %q", dir, code, err, out)
		}
	}
	sizes := strings.Fields(must(t, agent, "stat -c %s /workspace/bomb /tmp/bomb /var/tmp/bomb /home/user/bomb"))
	disk := atoi(t, sizes[0]) + atoi(t, sizes[1]) + atoi(t, sizes[2])
	if home := atoi(t, sizes[3]); disk > l.DiskBytes || disk < l.DiskBytes*8/10 || home > l.HomeBytes || home < l.HomeBytes*7/10 {
		t.Errorf("want almost %d bytes on the disk and %d in the home, got %d and %d", l.DiskBytes, l.HomeBytes, disk, home)
	}
	must(t, neighbour, "head -c 10M /dev/urandom >/workspace/file && head -c 10M /dev/urandom >~/file && sync")
	allowed := (l.DiskBytes+l.HomeBytes)*105/100 + 2*(10<<20)
	if grown := taken(t, cfg.Dir) - before; grown > allowed+64<<20 { // others work on this disk too
		t.Errorf("want at most %d bytes more on the machine's disk, got %d", allowed, grown)
	}
	usage, err := d.Usage(t.Context(), spec.ID)
	if err != nil || usage.DiskBytes > l.DiskBytes*105/100 || usage.DiskBytes < l.DiskBytes*8/10 {
		t.Errorf("want the disk's use near %d, got %+v, %v", l.DiskBytes, usage, err)
	}
	must(t, agent, "rm /workspace/bomb /tmp/bomb /var/tmp/bomb ~/bomb && echo again >/workspace/file && echo again >~/file")
}

func TestS4_ManySmallFilesStayInTheirHome(t *testing.T) { forEach(t, testFileBomb) }

func testFileBomb(t *testing.T, isolation sandbox.Isolation) {
	d := open(t, config(t))
	l := limits
	l.DiskBytes, l.HomeBytes = 32<<20, 32<<20
	_, agent := made(t, d, isolation, l)
	folders := []string{"/home/user"}
	if isolation == sandbox.Runc { // gVisor keeps its own account of the others' files, in the sandbox's memory
		folders = append(folders, "/workspace", "/dev/shm")
	}
	for _, folder := range folders {
		out := must(t, agent, `mkdir `+folder+`/many && cd `+folder+`/many && python3 -c '
import errno, os
n = 0
try:
    while n < 80_000:
        os.mknod(str(n))
        n += 1
except OSError as e:
    print(errno.errorcode[e.errno])
'`)
		if out != "ENOSPC\n" {
			t.Errorf("%s: want a bound on files, got %q", folder, out)
		}
	}
	if isolation == sandbox.Runc {
		if out, code, err := shell(t, agent, 10*time.Second, "mkdir /tmp/x || mkdir /var/tmp/x"); err != nil || code == 0 || strings.Count(out, "No space left") != 2 {
			t.Errorf("want all folders of the disk under one bound, got code %d, %v, %q", code, err, out)
		}
	}
}

func TestS5_ProcessorTimeIsLimited(t *testing.T) { forEach(t, testProcessorHog) }

func testProcessorHog(t *testing.T, isolation sandbox.Isolation) {
	cfg := config(t)
	d := open(t, cfg)
	l := limits
	l.CPUs = 0.25
	spec, agent := made(t, d, isolation, l)
	answers(t, agent, 10*time.Second)
	begun := time.Now()
	first, err := d.Usage(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	if out, code, err := shell(t, agent, 20*time.Second, "for i in 1 2 3 4; do timeout 2 sh -c 'while :; do :; done' & done; wait"); err != nil {
		t.Fatalf("spinning: code %d, %v, %q", code, err, out)
	}
	last, err := d.Usage(t.Context(), spec.ID)
	if err != nil {
		t.Fatal(err)
	}
	used, allowed := last.CPU-first.CPU, time.Since(begun)/4
	if used > allowed*11/10+100*time.Millisecond {
		t.Errorf("want at most %v of processor time, got %v", allowed, used)
	}
	// On a busy machine the sandbox might have got no more without any limit.
	if n := throttled(t, cfg.Installation, spec.ID); n < 5 {
		t.Errorf("want the limit to have held the sandbox back, it did so %d times", n)
	}
}

// throttled returns how often the processor limit has stopped the sandbox.
func throttled(t *testing.T, installation, id string) int64 {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup"} {
		data, err := os.ReadFile(root + "/vivarium/" + installation + "/" + id + "/cpu.stat")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if n, ok := strings.CutPrefix(line, "nr_throttled "); ok {
				return atoi(t, n)
			}
		}
	}
	t.Fatal("the sandbox has no processor limit")
	return 0
}

func atoi(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
