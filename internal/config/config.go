// Package config is what an operator decides about an installation: one struct, filled from flags and the environment,
// completed and checked whole. It must never be printed with its secrets in it.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Config is everything that can be set. The tags are for kong: each field is a flag, and an environment variable with the
// prefix VIVARIUM_.
type Config struct {
	Listen         string        `default:"127.0.0.1:8080" env:"VIVARIUM_LISTEN" placeholder:"ADDRESS" help:"Address and port to listen on; port 0 takes a free one."`
	PublicURL      string        `name:"public-url" env:"VIVARIUM_PUBLIC_URL" placeholder:"URL" help:"How people reach the server: scheme, host and port. Other hosts and origins are refused. Default: localhost with the port listened on."`
	AllowOrigin    []string      `env:"VIVARIUM_ALLOW_ORIGIN" placeholder:"ORIGIN" help:"Further origins whose pages may use the API, such as that of the web client's development server."`
	TrustedProxy   []string      `env:"VIVARIUM_TRUSTED_PROXY" placeholder:"CIDR" help:"Addresses of reverse proxies whose X-Forwarded-For is believed."`
	TLSCert        string        `name:"tls-cert" env:"VIVARIUM_TLS_CERT" placeholder:"FILE" help:"Certificate chain (PEM), to serve HTTPS without a proxy."`
	TLSKey         string        `name:"tls-key" env:"VIVARIUM_TLS_KEY" placeholder:"FILE" help:"Private key of the certificate (PEM)."`
	DataDir        string        `env:"VIVARIUM_DATA_DIR" placeholder:"FOLDER" help:"Keys, sandboxes and the embedded database. Default: /var/lib/vivarium for root, else in the home."`
	DatabaseURL    Secret        `name:"database-url" env:"VIVARIUM_DATABASE_URL" placeholder:"URL" help:"PostgreSQL to use instead of the embedded one. Set it in the environment: a flag is visible to every user of the machine."`
	PostgresBin    string        `env:"VIVARIUM_POSTGRES_BIN" placeholder:"FOLDER" help:"PostgreSQL's programs for the embedded database. Default: found."`
	Registration   string        `default:"closed" env:"VIVARIUM_REGISTRATION" placeholder:"open|closed" help:"Whether anybody may make an account."`
	Isolation      string        `default:"gvisor" env:"VIVARIUM_ISOLATION" placeholder:"gvisor|runc" help:"The boundary between a sandbox and this machine: a kernel of its own in user space, or this machine's kernel with namespaces and seccomp."`
	Runsc          string        `env:"VIVARIUM_RUNSC" placeholder:"FILE" help:"gVisor's runsc. Default: beside this program, else in PATH."`
	Runc           string        `env:"VIVARIUM_RUNC" placeholder:"FILE" help:"runc 1.3.6 or newer, for the isolation of that name. Default: beside this program, else in PATH."`
	RootFS         string        `name:"rootfs" env:"VIVARIUM_ROOTFS" placeholder:"FOLDER" help:"The sandboxes' root file system. Default: rootfs beside this program's folder."`
	Agent          string        `env:"VIVARIUM_AGENT" placeholder:"FILE" help:"The vivarium-agent program for sandboxes. Default: beside this program."`
	SandboxCPUs    float64       `name:"sandbox-cpus" default:"1" env:"VIVARIUM_SANDBOX_CPUS" help:"Processor time of one sandbox; 1 is one core."`
	SandboxMemory  Bytes         `default:"1GiB" env:"VIVARIUM_SANDBOX_MEMORY" help:"Memory of one sandbox."`
	SandboxProcs   int           `name:"sandbox-processes" default:"256" env:"VIVARIUM_SANDBOX_PROCESSES" help:"Processes and threads in one sandbox."`
	SandboxDisk    Bytes         `default:"2GiB" env:"VIVARIUM_SANDBOX_DISK" help:"What one sandbox may write outside of its home."`
	SandboxHome    Bytes         `default:"2GiB" env:"VIVARIUM_SANDBOX_HOME" help:"What may be in a workspace's home."`
	FileBytes      Bytes         `name:"file-size" default:"64MiB" env:"VIVARIUM_FILE_SIZE" help:"Largest file that is stored."`
	WorkspaceBytes Bytes         `name:"workspace-size" default:"1GiB" env:"VIVARIUM_WORKSPACE_SIZE" help:"All files of one workspace."`
	WorkspaceItems int           `default:"20000" env:"VIVARIUM_WORKSPACE_ITEMS" help:"Files, folders and links in one workspace."`
	Workspaces     int           `default:"100" env:"VIVARIUM_WORKSPACES" help:"Workspaces of one owner."`
	IdleAfter      time.Duration `default:"30m" env:"VIVARIUM_IDLE_AFTER" help:"A session ends when nobody looks and nothing runs for so long; 0: never."`
	SessionMaxAge  time.Duration `name:"session-max-age" default:"24h" env:"VIVARIUM_SESSION_MAX_AGE" help:"The longest that a session may run, whatever runs in it; 0: no bound."`
	UserSessions   int           `name:"user-sessions" default:"5" env:"VIVARIUM_USER_SESSIONS" help:"Live sessions that one user has started; 0: no bound."`
	Sessions       int           `name:"sessions" default:"0" env:"VIVARIUM_SESSIONS" help:"Live sessions in all; 0: no bound."`
	UserStarts     int           `name:"user-starts" default:"20" env:"VIVARIUM_USER_STARTS" help:"Sessions that one user may start within a minute; 0: no bound."`
	EndSessions    bool          `name:"end-sessions" env:"VIVARIUM_END_SESSIONS" help:"End all sessions when the server stops, for a machine that is to be switched off. Else they go on for the next server."`
	LogFormat      string        `default:"text" env:"VIVARIUM_LOG_FORMAT" placeholder:"text|json" help:"Format of the log on standard error."`
	LogLevel       string        `default:"info" env:"VIVARIUM_LOG_LEVEL" placeholder:"debug|info|warn|error" help:"Lowest level that is logged."`
}

// Default returns a complete configuration with every default, without flags or the environment: for tests and tools.
func Default() Config {
	return Config{Listen: "127.0.0.1:8080", Registration: "closed", Isolation: "gvisor", SandboxCPUs: 1, SandboxMemory: 1 << 30,
		SandboxProcs: 256, SandboxDisk: 2 << 30, SandboxHome: 2 << 30, FileBytes: 64 << 20, WorkspaceBytes: 1 << 30,
		WorkspaceItems: 20_000, Workspaces: 100, IdleAfter: 30 * time.Minute, SessionMaxAge: 24 * time.Hour, UserSessions: 5,
		UserStarts: 20, LogFormat: "text", LogLevel: "info"}
}

// Complete fills in what depends on the machine: the data folder and where the programs are. It does not look whether they
// are there: that is for those who use them, and for doctor.
func (c *Config) Complete() {
	if c.DataDir == "" {
		c.DataDir = defaultDataDir()
	}
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	beside := "."
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		beside = filepath.Dir(exe)
	}
	if c.Runsc == "" {
		c.Runsc = firstThere(filepath.Join(beside, "runsc"), filepath.Join(beside, "..", "libexec", "runsc"), inPath("runsc"))
	}
	if c.Runc == "" {
		c.Runc = firstThere(filepath.Join(beside, "runc"), filepath.Join(beside, "..", "libexec", "runc"), inPath("runc"))
	}
	if c.Agent == "" {
		c.Agent = firstThere(filepath.Join(beside, "vivarium-agent"), filepath.Join(beside, "..", "libexec", "vivarium-agent"))
	}
	if c.RootFS == "" {
		c.RootFS = firstThere(filepath.Join(beside, "..", "rootfs"), filepath.Join(beside, "rootfs"))
	}
}

// firstThere returns the first of the paths that exists, else the first: the place to name in a message.
func firstThere(paths ...string) string {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil && p != "" {
			return p
		}
	}
	return paths[0]
}

func inPath(name string) string {
	p, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return p
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/vivarium"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vivarium")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "vivarium-data"
	}
	return filepath.Join(home, ".local", "share", "vivarium")
}

// Check reports everything that is wrong, each problem with the flag, the environment variable and what is allowed.
func (c *Config) Check() error {
	var problems []error
	wrong := func(flag, format string, args ...any) {
		problems = append(problems, fmt.Errorf("--%s (%s) %s", flag, envOf(flag), fmt.Sprintf(format, args...)))
	}
	if _, _, err := c.listen(); err != nil {
		wrong("listen", "must be an address and a port, such as 127.0.0.1:8080 or :8080")
	}
	if c.PublicURL != "" {
		if u, err := parseOrigin(c.PublicURL); err != nil {
			wrong("public-url", "must be a scheme, a host and perhaps a port, such as https://vivarium.example.com, and nothing after it")
		} else if c.TLSCert != "" && u.Scheme != "https" {
			wrong("public-url", "must begin with https:// when a certificate is given")
		}
	}
	for _, origin := range c.AllowOrigin {
		if _, err := parseOrigin(origin); err != nil {
			wrong("allow-origin", "must be origins, such as http://localhost:3000")
		}
	}
	if _, err := c.Proxies(); err != nil {
		wrong("trusted-proxy", "must be addresses or networks, such as 10.0.0.0/8")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		wrong("tls-cert", "and --tls-key (%s) must be given together", envOf("tls-key"))
	}
	if c.DatabaseURL != "" && !strings.HasPrefix(string(c.DatabaseURL), "postgres://") && !strings.HasPrefix(string(c.DatabaseURL), "postgresql://") {
		wrong("database-url", "must begin with postgres:// or postgresql://")
	}
	oneOf := func(flag, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		wrong(flag, "must be %s", strings.Join(allowed, " or "))
	}
	oneOf("registration", c.Registration, "open", "closed")
	oneOf("isolation", c.Isolation, "gvisor", "runc")
	oneOf("log-format", c.LogFormat, "text", "json")
	oneOf("log-level", c.LogLevel, "debug", "info", "warn", "error")
	if !(c.SandboxCPUs >= 0.1 && c.SandboxCPUs <= 256) {
		wrong("sandbox-cpus", "must be 0.1 to 256")
	}
	between := func(flag string, value, low, high int64) {
		if value < low || value > high {
			wrong(flag, "must be %s to %s", Bytes(low), Bytes(high))
		}
	}
	count := func(flag string, value, low, high int) {
		if value < low || value > high {
			wrong(flag, "must be %d to %d", low, high)
		}
	}
	between("sandbox-memory", int64(c.SandboxMemory), 256<<20, 1<<42) // gVisor's own kernel does not fit into less
	between("sandbox-disk", int64(c.SandboxDisk), 64<<20, 1<<42)
	between("idle-after", int64(c.IdleAfter), 0, int64(10_000*time.Hour))
	between("session-max-age", int64(c.SessionMaxAge), 0, int64(10_000*time.Hour))
	between("user-sessions", int64(c.UserSessions), 0, 1<<20)
	between("sessions", int64(c.Sessions), 0, 1<<20)
	between("user-starts", int64(c.UserStarts), 0, 1<<20)
	between("sandbox-home", int64(c.SandboxHome), 64<<20, 1<<42)
	count("sandbox-processes", c.SandboxProcs, 16, 32768)
	between("file-size", int64(c.FileBytes), 1<<10, 64<<20)
	between("workspace-size", int64(c.WorkspaceBytes), max(1<<10, int64(c.FileBytes)), 1<<40)
	count("workspace-items", c.WorkspaceItems, 10, 1_000_000)
	count("workspaces", c.Workspaces, 1, 1_000_000)
	return errors.Join(problems...)
}

func envOf(flag string) string {
	return "VIVARIUM_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func (c *Config) listen() (host string, port string, err error) {
	host, port, err = net.SplitHostPort(c.Listen)
	if err != nil {
		return "", "", err
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return "", "", err
	}
	return host, port, nil
}

// Proxies returns the trusted proxies' networks.
func (c *Config) Proxies() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range c.TrustedProxy {
		if address, err := netip.ParseAddr(text); err == nil {
			list = append(list, netip.PrefixFrom(address, address.BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, err
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

// Site is where the server may be reached, and from.
type Site struct {
	URL     *url.URL // for people
	Hosts   []string // every Host header that is answered
	Origins []string // every Origin that may change state or open a socket
}

// Site returns it for a server that listens on port. The loopback names are always there, so that the machine's own people
// and checks reach the server however it is published.
func (c *Config) Site(port int) (Site, error) {
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	text := c.PublicURL
	if text == "" {
		text = fmt.Sprintf("%s://localhost:%d", scheme, port)
	}
	public, err := parseOrigin(text)
	if err != nil {
		return Site{}, err
	}
	site := Site{URL: public, Hosts: []string{public.Host}, Origins: []string{originOf(public)}}
	for _, name := range []string{"localhost", "127.0.0.1", "[::1]"} {
		local := &url.URL{Scheme: scheme, Host: fmt.Sprintf("%s:%d", name, port)}
		if isDefaultPort(scheme, port) {
			local.Host = name
		}
		site.Hosts = append(site.Hosts, local.Host)
		site.Origins = append(site.Origins, originOf(local))
	}
	site.Origins = append(site.Origins, c.AllowOrigin...)
	return site, nil
}

func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

func isDefaultPort(scheme string, port int) bool {
	return scheme == "http" && port == 80 || scheme == "https" && port == 443
}

// parseOrigin reads a scheme, a host and perhaps a port in the form that browsers send as Origin.
func parseOrigin(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, errors.New("not an origin")
	}
	if u.Host != strings.ToLower(u.Host) || strings.HasSuffix(u.Hostname(), ".") {
		return nil, errors.New("not in the form that browsers send")
	}
	if u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443" {
		u.Host = strings.TrimSuffix(u.Host, ":"+u.Port())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
