//go:build docker

package docker_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/docker"
)

// rewriteBody changes the JSON object that a request carries.
func rewriteBody(r *http.Request, change func(map[string]any)) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var body map[string]any
	if json.Unmarshal(data, &body) == nil {
		change(body)
		if changed, err := json.Marshal(body); err == nil {
			data = changed
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	r.Header.Set("Content-Length", strconv.Itoa(len(data)))
}

func TestADaemonThatIgnoresWhatKeepsASandboxInIsFoundOutBeforeAnythingRuns(t *testing.T) {
	for name, forget := range map[string]func(host map[string]any){
		"the runtime":          func(host map[string]any) { delete(host, "Runtime") },
		"the network":          func(host map[string]any) { host["NetworkMode"] = "host" },
		"the read-only root":   func(host map[string]any) { host["ReadonlyRootfs"] = false },
		"the capabilities":     func(host map[string]any) { host["CapDrop"] = nil },
		"the security options": func(host map[string]any) { host["SecurityOpt"] = nil },
		"the memory":           func(host map[string]any) { host["MemorySwap"] = -1 },
		"the processors":       func(host map[string]any) { host["CpuQuota"] = 0 },
		"the processes":        func(host map[string]any) { host["PidsLimit"] = nil },
		"the masked paths":     func(host map[string]any) { host["MaskedPaths"] = nil },
		"the file systems":     func(host map[string]any) { host["Tmpfs"] = nil },
		"the namespaces":       func(host map[string]any) { host["PidMode"] = "host" },
		"the log":              func(host map[string]any) { host["LogConfig"] = nil },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t)
			before := held(t, cfg)
			started := 0
			cfg.Host = proxy{request: func(r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/containers/create") {
					rewriteBody(r, func(body map[string]any) { forget(body["HostConfig"].(map[string]any)) })
				}
				if strings.HasSuffix(r.URL.Path, "/start") {
					started++
				}
			}}.listen(t)
			err := open(t, cfg).Create(t.Context(), specOf(sandbox.GVisor, limits))
			if !fault.Is(err, fault.Unavailable) {
				t.Errorf("want the sandbox refused, got %v", err)
			}
			if started > 0 {
				t.Error("it was started")
			}
			wantHeld(t, cfg, before)
		})
	}
}

func TestAnOrderWhoseAnswerIsLostLeavesNothing(t *testing.T) {
	for _, order := range []string{"/volumes/create", "/containers/create", "/start"} {
		t.Run(order, func(t *testing.T) {
			cfg := config(t)
			before := held(t, cfg)
			d := open(t, cfg)
			cfg.Host = proxy{response: func(r *http.Response) error {
				if strings.HasSuffix(r.Request.URL.Path, order) && r.StatusCode < 300 {
					return errors.New("lost")
				}
				return nil
			}}.listen(t)
			spec := specOf(sandbox.Runc, limits)
			if err := open(t, cfg).Create(t.Context(), spec); !fault.Is(err, fault.Unavailable) {
				t.Errorf("want unavailable, got %v", err)
			}
			wantHeld(t, cfg, before)
			discardLater(t, d, spec)
			if err := d.Create(t.Context(), spec); err != nil {
				t.Errorf("want a start to succeed now, got %v", err)
			}
		})
	}
}

// This machine's kernel has no quotas: the daemon's part in them is played.
func TestAHomeIsBoundedWhereTheDaemonHasQuotas(t *testing.T) {
	cfg := config(t)
	cfg.HomeUnbounded = false
	if _, err := docker.New(t.Context(), cfg); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "pquota") {
		t.Errorf("want a start refused without quotas, and what to do, got %v", err)
	}
	var mu sync.Mutex
	sizes := map[string]string{}
	host := cfg.Host
	cfg.Host = proxy{
		request: func(r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/volumes/create") {
				rewriteBody(r, func(body map[string]any) {
					options, _ := body["DriverOpts"].(map[string]any)
					mu.Lock()
					defer mu.Unlock()
					sizes[body["Name"].(string)], _ = options["size"].(string)
					delete(body, "DriverOpts")
				})
			}
		},
		response: func(r *http.Response) error {
			if r.StatusCode >= 300 || !strings.Contains(r.Request.URL.Path, "/volumes/") || r.Request.Method == http.MethodDelete {
				return nil
			}
			data, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			var volume map[string]any
			if err := json.Unmarshal(data, &volume); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if size := sizes[volume["Name"].(string)]; size != "" {
				volume["Options"] = map[string]string{"size": size}
			}
			if data, err = json.Marshal(volume); err != nil {
				return err
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
			r.Header.Set("Content-Length", strconv.Itoa(len(data)))
			return nil
		},
	}.listen(t)
	d := open(t, cfg)
	spec := specOf(sandbox.Runc, limits)
	made(t, d, spec)
	if got := sizes["vivarium-home-"+spec.Workspace]; got != strconv.FormatInt(limits.HomeBytes, 10) {
		t.Errorf("want a volume of the home's size, got %q", got)
	}
	if err := d.Remove(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}
	smaller := spec
	smaller.Limits.HomeBytes = 32 << 20
	if err := d.Create(t.Context(), smaller); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.MessageOf(err), "64 MiB") {
		t.Errorf("want a home refused that is larger than its limit, got %v", err)
	}
	larger := spec
	larger.Limits.HomeBytes = 128 << 20
	if err := d.Create(t.Context(), larger); err != nil {
		t.Errorf("want a home that is smaller than its limit, got %v", err)
	}
	if err := d.Remove(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}

	// A home of the time before there were quotas has no bound.
	old := cfg
	old.Host, old.HomeUnbounded = host, true
	unbounded := open(t, old)
	past := specOf(sandbox.Runc, limits)
	made(t, unbounded, past)
	if err := unbounded.Remove(t.Context(), past.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), past); !fault.Is(err, fault.Invalid) {
		t.Errorf("want a home without a bound refused, got %v", err)
	}
}

func TestAHomeOfAnotherInstallationIsNotTouched(t *testing.T) {
	cfg := config(t)
	d := open(t, cfg)
	spec := specOf(sandbox.Runc, limits)
	must(t, made(t, d, spec), "echo mine >~/note")
	if err := d.Remove(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Installation += "x"
	stranger := open(t, other)
	if err := stranger.RemoveHome(t.Context(), spec.Workspace); !fault.Is(err, fault.Conflict) {
		t.Errorf("RemoveHome: want a conflict, got %v", err)
	}
	if err := stranger.Create(t.Context(), spec); !fault.Is(err, fault.Conflict) {
		t.Errorf("Create: want a conflict, got %v", err)
	}
	if err := d.Create(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if got := must(t, dial(t, d, spec.ID), "cat ~/note"); got != "mine\n" {
		t.Errorf("want the home as it was, got %q", got)
	}
}

// A whole life of a sandbox asks for nothing that opens its files from outside. Its address comes from the environment.
func TestTheArchiveEndpointsAreNeverCalled(t *testing.T) {
	cfg := config(t)
	var mu sync.Mutex
	calls := map[string]bool{}
	t.Setenv("DOCKER_HOST", proxy{request: func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls[r.Method+" "+path.Base(r.URL.Path)] = true
	}}.listen(t))
	cfg.Host = ""
	d := open(t, cfg)
	spec := specOf(sandbox.Runc, limits)
	first := made(t, d, spec)
	answers(t, first, 10*time.Second)
	answers(t, dial(t, d, spec.ID), 10*time.Second)
	must(t, first, "ln -s /etc/passwd /workspace/link && echo x >~/file")
	if _, err := d.Usage(t.Context(), spec.ID); err != nil {
		t.Error(err)
	}
	if got := state(t, d, spec.ID); got != sandbox.Running {
		t.Errorf("want it running, got %q", got)
	}
	if err := d.Stop(t.Context(), spec.ID); err != nil {
		t.Error(err)
	}
	if exit, err := d.Wait(t.Context(), spec.ID); err != nil || exit.Detail != "The sandbox was stopped." {
		t.Errorf("want it stopped, got %+v, %v", exit, err)
	}
	if err := errors.Join(d.Remove(t.Context(), spec.ID), d.RemoveHome(t.Context(), spec.Workspace)); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for call := range calls {
		if _, last, _ := strings.Cut(call, " "); slices.Contains([]string{"archive", "copy", "export", "changes", "commit", "build"}, last) {
			t.Errorf("called: %s", call)
		}
	}
	for _, want := range []string{"POST create", "POST attach", "POST exec", "POST start", "GET stats", "POST kill"} {
		if !calls[want] {
			t.Errorf("want the life seen, but %q is missing in %v", want, slices.Sorted(maps.Keys(calls)))
		}
	}
}

func TestOtherDaemonsAreRefusedWithASentence(t *testing.T) {
	serve := func(t *testing.T, api, component string) string {
		t.Helper()
		socket := filepath.Join(t.TempDir(), "docker.sock")
		listener, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Api-Version", api)
			if strings.HasSuffix(r.URL.Path, "/version") {
				_ = json.NewEncoder(w).Encode(map[string]any{"Version": "4.3.1", "ApiVersion": api, "Components": []map[string]string{{"Name": component}}})
			}
		})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener) // closed below
		}()
		t.Cleanup(func() { _ = server.Close(); <-done })
		return "unix://" + socket
	}
	for name, c := range map[string]struct{ host, want string }{
		"Podman":             {serve(t, "1.41", "Podman Engine"), "Podman"},
		"an old API":         {serve(t, "1.40", "Engine"), "1.41"},
		"nobody":             {"unix://" + filepath.Join(t.TempDir(), "nobody.sock"), "Start Docker"},
		"a form not spoken":  {"ssh://host", "DOCKER_HOST"},
		"a form of nobody's": {"nonsense", "DOCKER_HOST"},
	} {
		cfg := docker.Config{Host: c.host, Installation: "test", Image: "image", Log: quiet}
		if _, err := docker.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want a refusal with %q, got %v", name, c.want, err)
		}
		bad := 0
		for _, f := range docker.Check(t.Context(), cfg) {
			if !f.OK {
				bad++
				if f.Detail == "" || !strings.HasSuffix(f.Remedy, ".") {
					t.Errorf("%s: want what was found and a sentence that mends it, got %+v", name, f)
				}
			}
		}
		if bad == 0 {
			t.Errorf("%s: want a finding", name)
		}
	}
	for name, spoil := range map[string]func(*docker.Config){
		"an odd installation": func(c *docker.Config) { c.Installation = "../x" },
		"no image":            func(c *docker.Config) { c.Image = "" },
		"no log":              func(c *docker.Config) { c.Log = nil },
	} {
		cfg := docker.Config{Installation: "test", Image: "image", Log: quiet}
		spoil(&cfg)
		if _, err := docker.New(t.Context(), cfg); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: want it refused, got %v", name, err)
		}
	}
}

func TestTheChecksOfAGoodDaemonSayWhatItOffers(t *testing.T) {
	cfg := config(t)
	found := map[string]sandbox.Finding{}
	for _, f := range docker.Check(t.Context(), cfg) {
		found[f.Name] = f
		if !f.OK {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	for name, want := range map[string]string{
		"Docker": "API 1.", "isolation": "gvisor and runc", "limits": "cgroups version", "image": cfg.Image, "homes": "without a bound",
		"version of runc": "runc 1.", "user namespaces": "remapped",
	} {
		if !strings.Contains(found[name].Detail, want) {
			t.Errorf("%s: want %q, got %q", name, want, found[name].Detail)
		}
	}
}
