package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"vivarium/internal/config"
	"vivarium/internal/postgres"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/oci"
	"vivarium/web"
)

// Doctor looks at whether a server with this configuration can run on this machine. It changes nothing.
func Doctor(ctx context.Context, cfg config.Config) []sandbox.Finding {
	log := slog.New(slog.DiscardHandler)
	findings := []sandbox.Finding{checkFolder(cfg.DataDir), checkPort(ctx, cfg), checkPages()}
	if cfg.DatabaseURL != "" {
		findings = append(findings, checkDatabase(ctx, cfg, log))
	} else {
		findings = append(findings, checkPostgres(ctx, cfg.PostgresBin), checkAccess(cfg.DataDir))
	}
	m := New(cfg, log, Options{})
	return append(findings, oci.Check(ctx, m.driverConfig(uuid.Nil, &folder{dir: existing(cfg.DataDir)}))...)
}

// existing returns the folder, or the nearest one above it that exists: that is where it would be made.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

func checkFolder(dir string) sandbox.Finding {
	f := sandbox.Finding{Name: "data folder", Detail: dir, Remedy: "Choose a folder that this user can write with --data-dir."}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.OK, f.Detail = true, dir+" (will be made)"
	case err != nil:
		f.Detail = cause(err).Error()
	case !info.IsDir():
		f.Detail = dir + " is not a folder"
	default:
		held := &folder{dir: dir}
		f.OK = true
		if text, err := os.ReadFile(held.path("VERSION")); err == nil {
			f.Detail += " (layout " + strings.TrimSpace(string(text)) + ")"
			if err := held.checkVersion(); err != nil {
				f.OK, f.Detail, f.Remedy = false, err.Error(), "Do what it says."
			}
		}
	}
	return f
}

func checkPort(ctx context.Context, cfg config.Config) sandbox.Finding {
	f := sandbox.Finding{Name: "port", Detail: cfg.Listen, Remedy: "If it is not this Vivarium that listens there, choose another port with --listen."}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		f.Detail = fmt.Sprintf("%s: %v", cfg.Listen, cause(errors.Unwrap(err)))
		return f
	}
	f.OK = true
	_ = listener.Close() // it was only tried
	return f
}

func checkPages() sandbox.Finding {
	f := sandbox.Finding{Name: "web client", Remedy: "Build it with scripts/build.sh, then build this program again."}
	pages, err := web.Dist()
	if err == nil {
		_, err = fs.Stat(pages, "index.html")
	}
	if err != nil {
		f.Detail = "this program was built without it"
		return f
	}
	f.OK, f.Detail = true, "built in"
	return f
}

func checkDatabase(ctx context.Context, cfg config.Config, log *slog.Logger) sandbox.Finding {
	f := sandbox.Finding{Name: "database", Remedy: "Check VIVARIUM_DATABASE_URL, and that the database runs."}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	db, err := postgres.Open(ctx, string(cfg.DatabaseURL), log)
	if schema, ok := errors.AsType[*postgres.SchemaError](err); ok && !schema.Newer() {
		f.OK, f.Detail = true, "answers; its schema is made or brought up to date at the next start"
		return f
	}
	if err != nil {
		f.Detail = err.Error()
		return f
	}
	db.Close()
	f.OK, f.Detail = true, "answers"
	return f
}

// checkPostgres looks for the programs that the embedded database needs.
func checkPostgres(ctx context.Context, configured string) sandbox.Finding {
	f := sandbox.Finding{Name: "PostgreSQL", Remedy: "Install the package postgresql, or name the folder of its programs with --postgres-bin, " +
		"or use a database that runs elsewhere with VIVARIUM_DATABASE_URL."}
	dirs := []string{configured}
	if configured == "" {
		dirs, _ = filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
		slices.Sort(dirs)
		slices.Reverse(dirs)
		if found, err := exec.LookPath("postgres"); err == nil {
			dirs = append(dirs, filepath.Dir(found))
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
		cancel()
		if err == nil {
			f.OK, f.Detail = true, strings.TrimSpace(string(out))+" in "+dir
			return f
		}
	}
	f.Detail = "its programs initdb and postgres are not found"
	return f
}

// checkAccess looks at whether the user that the embedded database runs as can reach its folder: PostgreSQL refuses to be root.
func checkAccess(dir string) sandbox.Finding {
	f := sandbox.Finding{Name: "way to the database's folder", OK: true, Detail: "open"}
	if os.Geteuid() != 0 {
		f.Detail = "this user's own"
		return f
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		if info, err := os.Stat(up); err == nil && info.Mode().Perm()&0o001 == 0 {
			f.OK, f.Detail = false, up+" may not be passed through by the user postgres"
			f.Remedy = "Choose a data folder elsewhere with --data-dir, or run chmod o+x on that one."
			return f
		}
		if filepath.Dir(up) == up {
			return f
		}
	}
}
