package oci

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// cgroups reads and clears the sandboxes' cgroups, of version 1 (a tree per controller) or 2 (one tree). The runtime makes
// them and sets their limits, from the bundle's configuration.
type cgroups struct {
	root string // where they are mounted
	v2   bool
}

const cgroupRoot = "/sys/fs/cgroup"

// needed are the controllers without which a limit would not hold.
var needed = []string{"memory", "cpu", "pids"}

// findCgroups looks at what is mounted at root.
func findCgroups(root string) cgroups {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return cgroups{root: root, v2: err == nil}
}

func (c cgroups) String() string {
	if c.v2 {
		return "cgroups version 2"
	}
	return "cgroups version 1"
}

// missing returns the controllers that are needed and not there.
func (c cgroups) missing() []string {
	var have []string
	if c.v2 {
		list, err := os.ReadFile(filepath.Join(c.root, "cgroup.controllers"))
		if err == nil {
			have = strings.Fields(string(list))
		}
	} else {
		for _, name := range needed {
			if _, err := os.Stat(filepath.Join(c.root, name, "cgroup.procs")); err == nil {
				have = append(have, name)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(needed), func(name string) bool { return slices.Contains(have, name) })
}

// allows refuses limits that the machine cannot hold a sandbox to.
func (c cgroups) allows(sandbox.Limits) error {
	if missing := c.missing(); len(missing) > 0 {
		return fault.New(fault.Invalid, "This machine cannot limit sandboxes: the cgroup controllers %s are missing.", strings.Join(missing, ", ")).On("limits")
	}
	return nil
}

// pathOf is a sandbox's cgroup, from the root of each tree.
func (c cgroups) pathOf(installation, id string) string {
	return "/vivarium/" + installation + "/" + id
}

// trees returns the folders that the path may have.
func (c cgroups) trees(path string) []string {
	if c.v2 {
		return []string{c.root + path}
	}
	entries, err := os.ReadDir(c.root)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() { // links such as cpu → cpu,cpuacct name a tree twice
			out = append(out, filepath.Join(c.root, e.Name())+path)
		}
	}
	return out
}

// dirs returns the cgroup's folders in all trees with those below them, the deepest first.
func (c cgroups) dirs(path string) []string {
	var out []string
	for _, tree := range c.trees(path) {
		// What cannot be read has just gone.
		_ = filepath.WalkDir(tree, func(name string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				out = append(out, name)
			}
			return nil
		})
	}
	slices.Reverse(out)
	return out
}

// processes returns the processes in the cgroup.
func (c cgroups) processes(path string) []int {
	var out []int
	for _, dir := range c.dirs(path) {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && pid > 0 && !slices.Contains(out, pid) {
				out = append(out, pid)
			}
		}
	}
	return out
}

// threadsOf returns how many threads the process has when the user with the id runs it, otherwise 0.
func threadsOf(pid int, user uint32) int {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	threads, ours := 0, false
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case key == "Uid" && len(fields) > 0:
			ours = fields[0] == strconv.FormatUint(uint64(user), 10)
		case key == "Threads" && len(fields) > 0 && ours:
			threads, _ = strconv.Atoi(fields[0]) // the kernel writes a number
		}
	}
	return threads
}

// kill ends all processes in the cgroup and waits until there are none.
func (c cgroups) kill(ctx context.Context, path string) error {
	for {
		pids := c.processes(path)
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := c.killOne(path, pid); err != nil {
				return err
			}
			reap(pid)
		}
		if !pause(ctx, 2*time.Millisecond) {
			return fmt.Errorf("%d processes do not end: %w", len(pids), ctx.Err())
		}
	}
}

// reap takes the end of a process from the kernel where the server is what orphans fall to, as PID 1 of a container.
func reap(pid int) {
	if os.Getpid() == 1 {
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it is not ours, or has not ended yet
	}
}

// killOne kills a process of the cgroup, and no other that got its number meanwhile.
func (c cgroups) killOne(path string, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(fd)
	membership, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil || !strings.Contains(string(membership), path) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("pidfd_send_signal: %w", err)
	}
	return nil
}

// remove removes the empty cgroup from all trees. It succeeds when there is none.
func (c cgroups) remove(ctx context.Context, path string) error {
	for {
		var last error
		for _, dir := range c.dirs(path) {
			if err := unix.Rmdir(dir); err != nil && !errors.Is(err, unix.ENOENT) {
				last = fmt.Errorf("rmdir: %w", err)
			}
		}
		if last == nil {
			return nil
		}
		if !pause(ctx, 2*time.Millisecond) { // a process that has just ended keeps it busy for a moment
			return last
		}
	}
}

// usage reads what the cgroup's processes use. What cannot be read stays 0.
func (c cgroups) usage(path string) sandbox.Usage {
	var u sandbox.Usage
	if c.v2 {
		dir := c.root + path
		u.CPU = time.Duration(field(filepath.Join(dir, "cpu.stat"), "usage_usec")) * time.Microsecond
		u.MemoryBytes = number(filepath.Join(dir, "memory.current")) - field(filepath.Join(dir, "memory.stat"), "inactive_file")
		u.PeakBytes = number(filepath.Join(dir, "memory.peak"))
	} else {
		u.CPU = time.Duration(number(c.root + "/cpuacct" + path + "/cpuacct.usage"))
		dir := c.root + "/memory" + path
		u.MemoryBytes = number(filepath.Join(dir, "memory.usage_in_bytes")) - field(filepath.Join(dir, "memory.stat"), "total_inactive_file")
		u.PeakBytes = number(filepath.Join(dir, "memory.max_usage_in_bytes"))
	}
	u.MemoryBytes = max(u.MemoryBytes, 0) // the two files are read one after the other
	u.MemoryKills = c.memoryKills(path)
	return u
}

// memoryKills returns how many processes the memory limit has killed.
func (c cgroups) memoryKills(path string) int {
	if c.v2 {
		return int(field(c.root+path+"/memory.events", "oom_kill"))
	}
	return int(field(c.root+"/memory"+path+"/memory.oom_control", "oom_kill"))
}

func number(name string) int64 {
	data, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// field returns the number after the key in a file of "key number" lines.
func field(name, key string) int64 {
	file, err := os.Open(name)
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		k, v, ok := strings.Cut(lines.Text(), " ")
		if !ok || k != key {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}
