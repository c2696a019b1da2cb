package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/google/uuid"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// minAPI is that of Docker 20.10, the oldest that Debian still supports.
const minAPI = "1.41"

// daemon is what the checks have found that the driver works with.
type daemon struct {
	isolations []sandbox.Isolation
	version    string
	quota      bool // volumes can have a size
}

// Check looks at whether sandboxes can run on the daemon, for `vivarium doctor`. It leaves nothing behind.
func Check(ctx context.Context, cfg Config) []sandbox.Finding {
	wrong := func(err error) []sandbox.Finding {
		return []sandbox.Finding{{Name: "configuration", Detail: fault.MessageOf(err), Remedy: "Correct the server's configuration."}}
	}
	if err := cfg.validate(); err != nil {
		return wrong(err)
	}
	engine, err := connect(cfg.Host)
	if err != nil {
		return wrong(err)
	}
	defer engine.Close()
	findings, found := inspect(ctx, engine, cfg)
	if found.version == "" {
		return findings
	}
	// Not reasons to refuse the start: sandboxes that run already need the server more than ever.
	return append(findings, advice(ctx, engine)...)
}

// finding makes a finding of what a check returns.
func finding(name, remedy string, check func() (string, error)) sandbox.Finding {
	detail, err := check()
	if err != nil {
		if fault.KindOf(err) != fault.Internal {
			return sandbox.Finding{Name: name, Detail: fault.MessageOf(err), Remedy: remedy}
		}
		return sandbox.Finding{Name: name, Detail: err.Error(), Remedy: remedy}
	}
	return sandbox.Finding{Name: name, OK: true, Detail: detail}
}

const (
	remedyEngine  = "Start Docker, version 20.10 or newer, and name it with DOCKER_HOST; the server must be allowed to use its socket."
	remedyRuntime = "Register gVisor's runsc in Docker's daemon.json, under runtimes, with the path of runsc and the runtimeArgs --network=none and --platform=systrap, and restart Docker."
	remedyImage   = "The server makes it from the root file system and the agent when it starts: restart it."
	remedyLimits  = "Use a machine whose cgroups have the controllers memory, cpu and pids, with swap accounting (swapaccount=1), and not a Docker without root on cgroups of version 1."
	remedyHome    = "Put Docker's data on an XFS that is mounted with pquota, or allow homes without a bound in the configuration."
)

// inspect checks what no sandbox can do without. found.version is empty when the daemon does not even answer.
func inspect(ctx context.Context, engine *client.Client, cfg Config) (findings []sandbox.Finding, found daemon) {
	var info system.Info
	first := finding("Docker", remedyEngine, func() (string, error) {
		version, err := engineVersion(ctx, engine)
		if err != nil {
			return "", err
		}
		result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.SystemInfoResult, error) {
			return engine.Info(ctx, client.InfoOptions{})
		})
		if err != nil {
			return "", err
		}
		info = result.Info
		if info.OSType != "linux" {
			return "", fmt.Errorf("it runs containers of %q and not of Linux", info.OSType)
		}
		found.version = version
		return version, nil
	})
	if !first.OK {
		return []sandbox.Finding{first}, found
	}
	findings = []sandbox.Finding{
		first,
		finding("isolation", remedyRuntime, func() (string, error) {
			var offered, why []string
			for _, isolation := range []sandbox.Isolation{sandbox.GVisor, sandbox.Runc} {
				if reason := unusable(info, isolation); reason != "" {
					why = append(why, reason)
					continue
				}
				found.isolations = append(found.isolations, isolation)
				offered = append(offered, string(isolation))
			}
			if len(offered) == 0 {
				return "", errors.New(strings.Join(why, "; "))
			}
			return strings.Join(append([]string{strings.Join(offered, " and ")}, why...), "; "), nil
		}),
		finding("limits", remedyLimits, func() (string, error) { return checkLimits(info) }),
		finding("image", remedyImage, func() (string, error) { return checkImage(ctx, engine, cfg.Image) }),
		finding("homes", remedyHome, func() (string, error) {
			var err error
			if found.quota, err = checkQuota(ctx, engine, cfg); err != nil {
				return "", err
			}
			switch {
			case found.quota:
				return "bounded by Docker's quotas for volumes", nil
			case cfg.HomeUnbounded:
				return "without a bound, as the configuration allows: a user can fill Docker's disk", nil
			}
			return "", errors.New("this Docker has no quotas for volumes, so that a user could fill its disk")
		}),
	}
	return findings, found
}

// engineVersion returns the daemon's name and version, if it is one that the driver works with.
func engineVersion(ctx context.Context, engine *client.Client) (string, error) {
	_, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.PingResult, error) {
		return engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	})
	if err != nil {
		return "", err
	}
	if api := engine.ClientVersion(); versions.LessThan(api, minAPI) {
		return "", fmt.Errorf("it speaks version %s of the API, and %s is needed", api, minAPI)
	}
	v, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ServerVersionResult, error) {
		return engine.ServerVersion(ctx, client.ServerVersionOptions{})
	})
	if err != nil {
		return "", err
	}
	for _, part := range v.Components {
		if strings.Contains(part.Name, "Podman") {
			return "", errors.New("it is Podman, which ignores the runtime that a sandbox is to be isolated by")
		}
	}
	return fmt.Sprintf("Docker %s (API %s)", v.Version, engine.ClientVersion()), nil
}

// unusable says why the daemon cannot isolate in that way, and nothing when it can.
func unusable(info system.Info, isolation sandbox.Isolation) string {
	name := runtimes[isolation]
	runtime, ok := info.Runtimes[name]
	switch {
	case !ok:
		return fmt.Sprintf("no %s: the runtime %q is not registered", isolation, name)
	case isolation == sandbox.GVisor && runtime.Path != "" && !hasFlag(runtime.Args, "network", "none"):
		return fmt.Sprintf("no %s: the runtime %q is registered without --network=none, so that there would be no loopback", isolation, name)
	case isolation == sandbox.Runc && !hasSecurity(info, "seccomp"):
		return fmt.Sprintf("no %s: Docker works without seccomp", isolation)
	}
	return ""
}

func hasFlag(args []string, name, value string) bool {
	return slices.ContainsFunc(args, func(arg string) bool { return strings.TrimLeft(arg, "-") == name+"="+value })
}

func hasSecurity(info system.Info, name string) bool {
	return slices.ContainsFunc(info.SecurityOptions, func(option string) bool {
		return slices.Contains(strings.Split(option, ","), "name="+name)
	})
}

func checkLimits(info system.Info) (string, error) {
	var missing []string
	for _, l := range []struct {
		name string
		has  bool
	}{{"memory", info.MemoryLimit}, {"swap", info.SwapLimit}, {"processor time", info.CPUCfsQuota}, {"processes", info.PidsLimit}} {
		if !l.has {
			missing = append(missing, l.name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("this Docker cannot limit %s", strings.Join(missing, ", "))
	}
	return fmt.Sprintf("cgroups version %s, by %s; the disk is in memory, at most half of the memory limit", info.CgroupVersion, info.CgroupDriver), nil
}

func checkImage(ctx context.Context, engine *client.Client, name string) (string, error) {
	image, err := imageOf(ctx, engine, name)
	if fault.Is(err, fault.NotFound) {
		return "", fmt.Errorf("Docker does not have %s", name)
	}
	if err != nil {
		return "", err
	}
	layout := ""
	if image.Config != nil {
		layout = image.Config.Labels[layoutLabel]
	}
	if layout != rootFSLayout {
		return "", fmt.Errorf("%s has %q, and this server needs %q", name, layout, rootFSLayout)
	}
	return name, nil
}

// checkQuota asks for a volume with a size, which is how a daemon says whether it has quotas.
func checkQuota(ctx context.Context, engine *client.Client, cfg Config) (bool, error) {
	name := "vivarium-probe-" + uuid.NewString()
	err := do(ctx, shortTimeout, func(ctx context.Context) error {
		_, err := engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Driver: localDriver,
			DriverOpts: map[string]string{sizeOption: strconv.Itoa(sandbox.MinHomeBytes)},
			Labels:     map[string]string{installationLabel: cfg.Installation}})
		return err
	})
	if errdefs.IsInvalidArgument(err) || errdefs.IsInternal(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, do(ctx, shortTimeout, func(ctx context.Context) error {
		_, err := engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		return err
	})
}

// advice is what an operator should know and may decide.
func advice(ctx context.Context, engine *client.Client) []sandbox.Finding {
	return []sandbox.Finding{
		finding("version of runc", "Install runc 1.2.8, 1.3.3 or newer, or isolate with gVisor.", func() (string, error) {
			v, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.ServerVersionResult, error) {
				return engine.ServerVersion(ctx, client.ServerVersionOptions{})
			})
			if err != nil {
				return "", err
			}
			for _, part := range v.Components {
				if part.Name == "runc" {
					return checkRunc(part.Version)
				}
			}
			return "not known", nil
		}),
		finding("user namespaces", remedyEngine, func() (string, error) {
			result, err := ask(ctx, shortTimeout, func(ctx context.Context) (client.SystemInfoResult, error) {
				return engine.Info(ctx, client.InfoOptions{})
			})
			if err != nil {
				return "", err
			}
			if hasSecurity(result.Info, "userns") || hasSecurity(result.Info, "rootless") {
				return "root in a sandbox is nobody on Docker's machine", nil
			}
			return "not remapped; with userns-remap in daemon.json, root in a sandbox would be nobody on Docker's machine", nil
		}),
	}
}

// checkRunc knows the versions without the fixes of the escapes CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881. A
// distribution may have added them to an older one without changing the number.
func checkRunc(version string) (string, error) {
	var major, minor, patch int
	if n, _ := fmt.Sscanf(strings.TrimPrefix(version, "v"), "%d.%d.%d", &major, &minor, &patch); n < 3 {
		return "not known", nil
	}
	fixed := major > 1 || minor > 3 || minor == 3 && patch >= 3 || minor == 2 && patch >= 8
	if !fixed {
		return "", fmt.Errorf("runc %s lacks fixes of known escapes (CVE-2025-31133, -52565, -52881), unless the distribution has added them", version)
	}
	return "runc " + version, nil
}
