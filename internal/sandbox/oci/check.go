package oci

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vivarium/internal/sandbox"
)

// rootFSLayout is the version of the root file system's layout that this driver needs: the user, the folders, the mount
// points. scripts/build-rootfs.sh writes it into the first line of stampFile.
const (
	rootFSLayout = "layout 1"
	stampFile    = ".vivarium-image"
)

// machine is what the checks have found that the driver works with.
type machine struct {
	findings []sandbox.Finding   // on what every sandbox needs
	runtimes []sandbox.Finding   // on the runtimes that are configured
	offered  []sandbox.Isolation // those of runtimes that are fit for use
	versions []string            // of the same
	cgroups  cgroups
	image    string // identity of the root file system
}

// Check looks at whether sandboxes can run on this machine, for `vivarium doctor`. It changes nothing.
func Check(ctx context.Context, cfg Config) []sandbox.Finding {
	cfg, err := cfg.resolve()
	if err != nil {
		return []sandbox.Finding{{Name: "configuration", Detail: err.Error(), Remedy: "Correct the server's configuration."}}
	}
	found := inspect(ctx, cfg)
	findings := slices.Concat(found.findings, found.runtimes)
	// No reasons to refuse the start: sandboxes that run already need the server more than ever.
	if slices.Contains(found.offered, sandbox.Runc) {
		findings = append(findings, finding("file watches", inotifyRemedy, func() (string, error) {
			return checkInotify(inotifyLimits)
		}))
	}
	return append(findings, finding("folder for sandboxes", "Put it on a file system with free space that allows sparse files, such as ext4 or xfs.",
		func() (string, error) { return checkDir(cfg.Dir) }))
}

// finding makes a finding of what a check returns.
func finding(name, remedy string, check func() (string, error)) sandbox.Finding {
	detail, err := check()
	if err != nil {
		return sandbox.Finding{Name: name, Detail: err.Error(), Remedy: remedy}
	}
	return sandbox.Finding{Name: name, OK: true, Detail: detail}
}

// inspect checks what no sandbox can do without, and which runtimes can be used.
func inspect(ctx context.Context, cfg Config) machine {
	found := machine{cgroups: findCgroups(cgroupRoot)}
	found.findings = []sandbox.Finding{
		finding("rights", "Start the server as root: it mounts homes and makes namespaces and cgroups.", checkRights),
		finding("root file system", "Build it with scripts/build-rootfs.sh and set its path.", func() (string, error) {
			var err error
			found.image, err = checkRootFS(cfg.RootFS)
			return "image " + found.image, err
		}),
		finding("agent", "Build it with `go build ./cmd/vivarium-agent` (CGO_ENABLED=0) and set its path.", func() (string, error) {
			return checkProgram(cfg.Agent)
		}),
		finding("cgroups", "Mount cgroups with the controllers memory, cpu and pids, writable for the server, at "+cgroupRoot+".", func() (string, error) {
			return checkCgroups(found.cgroups)
		}),
		finding("loop devices", "Load the kernel module loop, and give the server access to "+loopControl+" and the devices. Without them homes would have no bound.", checkLoop),
		finding("ext4 tools", "Install the package e2fsprogs.", checkTools),
		finding("namespaces", "Use a kernel with pid, network, mount, IPC and UTS namespaces.", checkNamespaces),
	}
	runtimes := cfg.runtimes()
	if cfg.Runsc != "" {
		found.judge(sandbox.GVisor, checkRuntime(ctx, runtimes[sandbox.GVisor], "gVisor", "Build runsc with scripts/build-runsc.sh and set its path."))
	}
	if cfg.Runc != "" {
		found.judge(sandbox.Runc, checkRuntime(ctx, runtimes[sandbox.Runc], "runc", "Build runc with scripts/build-runc.sh and set its path."),
			finding("user namespaces", usersRemedy, func() (string, error) { return checkUsers(ctx, cfg.RootFS) }))
	}
	return found
}

// judge notes findings on a runtime. Its isolation is offered when all are good.
func (m *machine) judge(isolation sandbox.Isolation, findings ...sandbox.Finding) {
	m.runtimes = append(m.runtimes, findings...)
	if !slices.ContainsFunc(findings, func(f sandbox.Finding) bool { return !f.OK }) {
		m.offered = append(m.offered, isolation)
		m.versions = append(m.versions, findings[0].Detail)
	}
}

// checkRuntime asks the runtime for its version.
func checkRuntime(ctx context.Context, r ociRuntime, name, remedy string) sandbox.Finding {
	return finding(name, remedy, func() (string, error) {
		out, err := output(ctx, shortTimeout, r.versionArgs())
		if err != nil {
			return "", err
		}
		return r.parseVersion(out)
	})
}

func checkRights() (string, error) {
	if os.Geteuid() != 0 {
		return "", fmt.Errorf("the server runs as user %d", os.Geteuid())
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return "", err
	}
	if data[0].Effective&(1<<unix.CAP_SYS_ADMIN) == 0 {
		return "", errors.New("root without the capability SYS_ADMIN")
	}
	return "root", nil
}

// checkRootFS returns the beginning of the image's hash.
func checkRootFS(dir string) (string, error) {
	stamp, err := os.ReadFile(filepath.Join(dir, stampFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is none at the configured path")
	}
	if err != nil {
		return "", err
	}
	layout, sum, _ := strings.Cut(string(bytes.TrimSpace(stamp)), "\n")
	if layout != rootFSLayout {
		return "", fmt.Errorf("it has %q, and this server needs %q", layout, rootFSLayout)
	}
	for _, name := range []string{"bin/bash", "home/user", "workspace", "usr/bin/python3", strings.TrimPrefix(setpriv, "/"), strings.TrimPrefix(agentPath, "/")} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return "", fmt.Errorf("it has no /%s", name)
		}
	}
	sum = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, sum)
	return sum[:min(len(sum), 12)], nil
}

func checkProgram(name string) (string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("there is none at the configured path")
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return "", errors.New("it is not a program")
	}
	return "found", nil
}

func checkCgroups(c cgroups) (string, error) {
	if missing := c.missing(); len(missing) > 0 {
		return "", fmt.Errorf("%s without the controllers %s", c, strings.Join(missing, ", "))
	}
	for _, tree := range c.trees("") {
		if c.v2 || filepath.Base(tree) == "memory" {
			if err := unix.Access(tree, unix.W_OK); err != nil {
				return "", fmt.Errorf("%s that cannot be written: %w", c, err)
			}
		}
	}
	return c.String(), nil
}

func checkLoop() (string, error) {
	file, err := os.OpenFile(loopControl, os.O_RDWR, 0)
	if err != nil {
		return "", errors.New(loopControl + " cannot be opened")
	}
	return "available", file.Close()
}

func checkTools() (string, error) {
	for _, name := range []string{"mke2fs", "e2fsck", "resize2fs"} {
		if _, err := tool(name); err != nil {
			return "", err
		}
	}
	return "mke2fs, e2fsck, resize2fs", nil
}

func checkNamespaces() (string, error) {
	for _, name := range []string{"pid", "net", "mnt", "ipc", "uts"} {
		if _, err := os.Stat("/proc/self/ns/" + name); err != nil {
			return "", fmt.Errorf("no %s namespaces", name)
		}
	}
	return "pid, net, mnt, ipc, uts", nil
}

// minFree is the free space below which no sandbox should be started, in bytes.
const minFree = 1 << 30

func checkDir(dir string) (string, error) {
	at := dir
	for { // the folder itself is made later
		if _, err := os.Stat(at); err == nil || at == "/" {
			break
		}
		at = filepath.Dir(at)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return "", err
	}
	if st.Type == unix.TMPFS_MAGIC {
		return "", errors.New("it is in memory (tmpfs): a sandbox's disk would take the server's memory")
	}
	free := int64(st.Bavail) * st.Bsize
	if free < minFree {
		return "", fmt.Errorf("only %d MiB are free", free>>20)
	}
	return fmt.Sprintf("%d GiB free", free>>30), nil
}
