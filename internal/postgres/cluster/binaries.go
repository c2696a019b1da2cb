package cluster

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vivarium/internal/fault"
)

// oldest is the oldest major version of PostgreSQL that is used.
const oldest = 14

// binaries are the programs of one PostgreSQL.
type binaries struct {
	dir     string
	major   int
	version string
}

func (b binaries) postgres() string { return filepath.Join(b.dir, "postgres") }
func (b binaries) initdb() string   { return filepath.Join(b.dir, "initdb") }

// places are where distributions put each version's programs.
var places = []string{
	"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
	"/usr/pgsql-*/bin",                  // PostgreSQL's own packages for Red Hat
	"/usr/libexec/postgresql*",          // Alpine
	"/usr/local/pgsql/bin",              // built from source
	"/opt/homebrew/opt/postgresql*/bin", // Homebrew
	"/usr/local/opt/postgresql*/bin",
}

// findBinaries returns the programs in dir, or, when it is empty, those that fit the data, else the newest that are installed.
func findBinaries(ctx context.Context, dir, data string, a account) (binaries, error) {
	dataMajor, err := majorOf(data)
	if err != nil {
		return binaries{}, err
	}
	var dirs []string
	if dir != "" {
		dirs = []string{dir}
	} else {
		for _, pattern := range places {
			found, err := filepath.Glob(pattern)
			if err != nil {
				return binaries{}, err
			}
			dirs = append(dirs, found...)
		}
		if inPath, err := exec.LookPath("initdb"); err == nil {
			if real, err := filepath.EvalSymlinks(inPath); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	var found []binaries
	for _, dir := range dirs {
		if b, ok := inspect(ctx, dir, a); ok {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	if len(found) == 0 {
		return binaries{}, fault.New(fault.Unavailable, "There is no PostgreSQL %d or newer on this machine (initdb and postgres were looked "+
			"for in %s). Install it (Debian: `apt-get install postgresql`), or set VIVARIUM_DATABASE_URL to a database.", oldest, where(dir))
	}
	if dataMajor == 0 {
		return found[0], nil
	}
	for _, b := range found {
		if b.major == dataMajor {
			return b, nil
		}
	}
	return binaries{}, fault.New(fault.Unavailable, "The private database in %s is of PostgreSQL %d, but only version %d is installed. Install "+
		"PostgreSQL %d beside it, or bring the data over with pg_upgrade. Nothing was changed.", data, dataMajor, found[0].major, dataMajor)
}

func where(dir string) string {
	if dir != "" {
		return dir
	}
	return "/usr/lib/postgresql, the usual other places, and PATH"
}

var versionLine = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// inspect asks the programs in a folder for their version.
func inspect(ctx context.Context, dir string, a account) (binaries, bool) {
	b := binaries{dir: dir}
	if _, err := os.Stat(b.initdb()); err != nil {
		return b, false
	}
	out, err := a.command(ctx, "/", b.postgres(), "--version").Output()
	if err != nil {
		return b, false
	}
	match := versionLine.FindStringSubmatch(string(out))
	if match == nil {
		return b, false
	}
	b.version = match[1]
	b.major, err = strconv.Atoi(match[2])
	return b, err == nil && b.major >= oldest
}

// majorOf returns the major version of the data in a folder, and 0 when there is no data.
func majorOf(data string) (int, error) {
	content, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(data); err == nil {
			return 0, fault.New(fault.Unavailable, "%s exists and is no database of PostgreSQL. Move it away, or restore it from a backup.", data)
		}
		return 0, nil
	}
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "The private database cannot be read: %s.", reason(err))
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return 0, fault.Wrap(err, fault.Unavailable, "The version of the private database in %s cannot be read.", data)
	}
	return major, nil
}
