package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func parse(t *testing.T, args ...string) Config {
	t.Helper()
	var c Config
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheDefaultsAreValidAndTheSameForFlagsAndTests(t *testing.T) {
	fromFlags, fromCode := parse(t), Default()
	if !reflect.DeepEqual(fromFlags, fromCode) {
		t.Errorf("want\n%+v\ngot\n%+v", fromCode, fromFlags)
	}
	if err := fromCode.Check(); err != nil {
		t.Errorf("the defaults are not valid: %v", err)
	}
}

func TestEveryFlagHasItsEnvironmentVariable(t *testing.T) {
	var c Config
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, flag := range parser.Model.Flags {
		if flag.Name == "help" {
			continue
		}
		seen++
		if len(flag.Envs) != 1 || flag.Envs[0] != envOf(flag.Name) {
			t.Errorf("--%s: want %s, got %v", flag.Name, envOf(flag.Name), flag.Envs)
		}
		if flag.Help == "" {
			t.Errorf("--%s has no help", flag.Name)
		}
	}
	if seen != reflect.TypeFor[Config]().NumField() {
		t.Errorf("%d flags for %d fields", seen, reflect.TypeFor[Config]().NumField())
	}
}

func TestAllProblemsAreReportedAtOnceWithFlagVariableAndWhatIsAllowed(t *testing.T) {
	c := Config{Listen: "8080", PublicURL: "example.com", AllowOrigin: []string{"*"}, TrustedProxy: []string{"everybody"}, TLSCert: "cert.pem",
		DatabaseURL: "mysql://root:hunter2@db", Registration: "maybe", Isolation: "none", LogFormat: "xml", LogLevel: "loud", FileBytes: 1 << 40}
	err := c.Check()
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, flag := range []string{"listen", "public-url", "allow-origin", "trusted-proxy", "tls-cert", "database-url", "registration", "isolation", "log-format",
		"log-level", "sandbox-cpus", "sandbox-memory", "sandbox-disk", "sandbox-home", "sandbox-processes", "file-size", "workspace-size", "workspace-items", "workspaces"} {
		if !strings.Contains(err.Error(), "--"+flag+" ("+envOf(flag)+") must ") && !strings.Contains(err.Error(), "--"+flag+" ("+envOf(flag)+") and ") {
			t.Errorf("want --%s and what is allowed in:\n%v", flag, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the message holds the password: %v", err)
	}
}

func TestPublicURLsAreOrigins(t *testing.T) {
	for text, ok := range map[string]bool{"https://vivarium.example.com": true, "http://10.0.0.1:8080": true, "https://example.com/": true, "http://[::1]:80": true,
		"https://example.com/path": false, "https://example.com?x": false, "https://user@example.com": false, "ftp://example.com": false, "//example.com": false,
		"https://": false, "https://Example.com": false, "https://example.com.": false, "example.com": false} {
		c := Default()
		c.PublicURL = text
		if err := c.Check(); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheSiteHasThePublicNameAndThisMachines(t *testing.T) {
	for _, c := range []struct {
		name             string
		config           Config
		port             int
		url, host        string
		origin, notFound string
	}{
		{"by default", Config{}, 8080, "http://localhost:8080", "127.0.0.1:8080", "http://localhost:8080", "https://localhost:8080"},
		{"behind a proxy", Config{PublicURL: "https://v.example.com"}, 8080, "https://v.example.com", "localhost:8080", "https://v.example.com", "http://v.example.com"},
		{"the usual port", Config{PublicURL: "https://v.example.com:443/"}, 8080, "https://v.example.com", "v.example.com", "https://v.example.com", "https://v.example.com:443"},
		{"port 80", Config{}, 80, "http://localhost:80", "localhost", "http://127.0.0.1", "http://127.0.0.1:80"},
		{"TLS", Config{TLSCert: "x"}, 8443, "https://localhost:8443", "[::1]:8443", "https://127.0.0.1:8443", "http://localhost:8443"},
		{"a development server", Config{AllowOrigin: []string{"http://localhost:3000"}}, 8080, "http://localhost:8080", "localhost:8080", "http://localhost:3000", "http://localhost:3001"},
	} {
		site, err := c.config.Site(c.port)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		contains := func(list []string, s string) bool {
			return strings.Contains("|"+strings.Join(list, "|")+"|", "|"+s+"|")
		}
		if c.name == "port 80" {
			c.url = "http://localhost"
		}
		if site.URL.String() != c.url || !contains(site.Hosts, c.host) || !contains(site.Origins, c.origin) || contains(site.Origins, c.notFound) {
			t.Errorf("%s: got %+v", c.name, site)
		}
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	c := Default()
	c.DatabaseURL = "postgres://vivarium:hunter2@db/vivarium"
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("starting", "config", c, "url", c.DatabaseURL)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("starting", "config", c, "all", &c)
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{log.String(), string(encoded), fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.DatabaseURL), fmt.Sprint(&c)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
	if !strings.Contains(log.String(), hidden) {
		t.Error("want it shown that there is one")
	}
	if parse(t, "--database-url=postgres://x:y@z/").DatabaseURL != "postgres://x:y@z/" {
		t.Error("a secret must be read as it is")
	}
}

func TestBytesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "1024": 1024, "1KiB": 1 << 10, "16MiB": 16 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40, "3 MiB": 3 << 20} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: want %d, got %d %v", text, want, b, err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s: written as %s, read as %d", text, b, again)
		}
	}
	for _, text := range []string{"", "x", "-1", "1.5GiB", "1GB", "9999999999TiB", "1gib"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %d", text, b)
		}
	}
}

func TestWhatDependsOnTheMachineIsFilledIn(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data")
	c := Default()
	c.Complete()
	for name, value := range map[string]string{"data folder": c.DataDir, "runsc": c.Runsc, "agent": c.Agent, "rootfs": c.RootFS} {
		if value == "" {
			t.Errorf("the %s is not known", name)
		}
	}
	c = Default()
	c.DataDir, c.Runsc = "relative", "/opt/runsc"
	c.Complete()
	if !strings.HasPrefix(c.DataDir, "/") || c.Runsc != "/opt/runsc" {
		t.Errorf("got %+v", c)
	}
}
