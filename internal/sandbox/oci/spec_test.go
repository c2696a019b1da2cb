package oci

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"vivarium/internal/sandbox"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestS1_TheRuntimesConfigurationIsTheOneReviewed(t *testing.T) {
	t.Setenv("VIVARIUM_CANARY", "canary")
	got, err := json.MarshalIndent(gvisorSpec(
		layout{rootFS: "/rootfs", agent: "/agent", home: "/sandbox/home/user", cgroup: "/vivarium/installation/id"},
		sandbox.Limits{CPUs: 1.5, MemoryBytes: 1 << 30, Processes: 256, DiskBytes: 2 << 30, HomeBytes: 1 << 30}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/gvisor.golden.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the configuration has changed; if that is meant, run with -update and read the difference\n%s", got)
	}
	if bytes.Contains(got, []byte("canary")) {
		t.Error("the server's environment is in the configuration")
	}
}

func TestTheRuntimesArgumentsBoundTheDiskAndTheNetwork(t *testing.T) {
	g := gvisor{path: "/bin/runsc", root: "/state"}
	line := strings.Join(g.run(bundle{dir: "/b", id: "the-id"}, 1<<20), " ")
	for _, want := range []string{"--network=none", "--platform=systrap", "--overlay2=root:dir=/b/disk,size=1048576", "run --detach", "--bundle=/b"} {
		if !strings.Contains(line, want) {
			t.Errorf("want %q in %q", want, line)
		}
	}
	if !strings.HasSuffix(line, " the-id") {
		t.Errorf("want the id at the end of %q", line)
	}
}

func TestTheVersionIsReadFromTheRuntimesAnswer(t *testing.T) {
	if got, err := (gvisor{}).parseVersion("runsc version release-1\nspec: 1.2.1\n"); err != nil || got != "runsc release-1" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := (gvisor{}).parseVersion("runc version 1.1.5\n"); err == nil {
		t.Errorf("want another runtime refused, got %q", got)
	}
}
