package agentclient

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
)

// Both set, the tests run their agents in gVisor, as root: the program runsc, and a root file system, which an overlay
// protects.
var (
	runsc  = os.Getenv("VIVARIUM_TEST_RUNSC")
	rootfs = os.Getenv("VIVARIUM_TEST_ROOTFS")
)

func (b *box) runsc(command string, args ...string) []string {
	return append([]string{runsc, "--root", filepath.Join(filepath.Dir(b.root), "state"), "--network", "none", "--platform", "systrap",
		"--ignore-cgroups", "--overlay2", "root:memory", command}, args...)
}

// bundle writes a bundle into the folder and returns an id for its sandbox.
func (b *box) bundle(top string, argv []string) string {
	caps := []string{"CAP_SETUID", "CAP_SETGID", "CAP_KILL"}
	config := map[string]any{
		"ociVersion": "1.0.2",
		"process": map[string]any{
			"user": map[string]any{"uid": 0, "gid": 0}, "args": argv, "cwd": "/", "noNewPrivileges": true, "env": []string{"PATH=/usr/bin:/bin"},
			"capabilities": map[string]any{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"root": map[string]any{"path": rootfs},
		"mounts": []any{
			map[string]any{"destination": "/proc", "type": "proc", "source": "proc"},
			bind(b.root, "rw"), bind(b.home, "rw"), bind(filepath.Dir(program), "ro"),
		},
		"linux": map[string]any{"namespaces": []any{
			map[string]any{"type": "pid"}, map[string]any{"type": "ipc"}, map[string]any{"type": "uts"}, map[string]any{"type": "mount"},
		}},
	}
	text, err := json.Marshal(config)
	if err == nil {
		err = os.WriteFile(filepath.Join(top, "config.json"), text, 0o600)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return "vivarium-test-" + rand.Text()
}

func bind(dir, mode string) map[string]any {
	return map[string]any{"destination": dir, "type": "bind", "source": dir, "options": []string{"bind", mode}}
}
