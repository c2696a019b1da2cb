package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"vivarium/internal/fault"
)

// port only names the socket; nothing listens on the network.
const port = "5432"

// maxSocketPath is how long the path of a unix socket may be in Linux: sun_path without its NUL.
const maxSocketPath = 107

// initialise makes the cluster when there is none: beside its place, and renamed when it is whole, so that a start that was
// cut short leaves nothing that looks like a database.
func (c *Cluster) initialise(ctx context.Context, bin binaries) error {
	if major, err := majorOf(c.data()); err != nil || major != 0 {
		return err
	}
	fresh := filepath.Join(c.cfg.Dir, "data.new")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	args := []string{"--pgdata", fresh, "--username", superuser, "--encoding", "UTF8", "--locale", "C", "--data-checksums",
		"--auth-local", "peer", "--auth-host", "reject", "--no-instructions"}
	if c.cfg.Volatile {
		args = append(args, "--no-sync")
	}
	var output bytes.Buffer
	cmd := c.account.command(ctx, c.cfg.Dir, bin.initdb(), args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fault.Wrap(err, fault.Unavailable, "PostgreSQL could not make the private database: %s", lastLines(output.String(), 3))
	}
	main := "# The server writes vivarium.conf anew at each start. Settings below the next line are yours.\ninclude 'vivarium.conf'\n"
	if err := c.put(filepath.Join(fresh, "postgresql.conf"), main); err != nil {
		return err
	}
	if err := os.Rename(fresh, c.data()); err != nil {
		return err
	}
	return syncDir(c.cfg.Dir)
}

// configure writes the files that PostgreSQL reads at its start.
func (c *Cluster) configure(socket string) error {
	settings := []string{
		"listen_addresses = ''",
		"port = " + port,
		"unix_socket_directories = " + quote(socket),
		"unix_socket_permissions = 0700",
		"max_connections = 100",
		// A small machine shares its memory with the sandboxes; the page cache does the rest.
		"shared_buffers = 64MB",
		"maintenance_work_mem = 32MB",
		"max_wal_size = 256MB",
		"jit = off",
		"timezone = 'UTC'",
		"log_timezone = 'UTC'",
		"logging_collector = on",
		"log_directory = " + quote(c.logDir()),
		"log_filename = 'postgres-%Y%m%d-%H%M%S.log'",
		"log_rotation_size = 8MB",
		"log_rotation_age = 1d",
		"log_file_mode = 0600",
		// Neither statements nor the values of rows belong in a log.
		"log_error_verbosity = terse",
		"log_min_error_statement = panic",
		"fsync = on",
		"full_page_writes = on",
		"synchronous_commit = on",
	}
	if c.cfg.Volatile {
		settings = append(settings, "fsync = off", "full_page_writes = off", "synchronous_commit = off", "max_connections = 400",
			"checkpoint_timeout = 1h")
	}
	// The kernel tells PostgreSQL who is at the other end of the socket. Only the server's account may be its role: no
	// password, nothing to steal, and a process that gets to the socket as somebody else is refused.
	ident := []string{}
	for _, name := range c.names() {
		ident = append(ident, fmt.Sprintf("vivarium %q %s", name, role), fmt.Sprintf("vivarium %q %s", name, superuser))
	}
	for name, lines := range map[string][]string{
		"vivarium.conf": settings,
		"pg_hba.conf":   {"local all all peer map=vivarium"},
		"pg_ident.conf": ident,
	} {
		if err := c.put(filepath.Join(c.data(), name), strings.Join(lines, "\n")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// names are the accounts of the machine that may be the roles of the cluster.
func (c *Cluster) names() []string {
	names := []string{c.account.name}
	if c.account.switched {
		if root, err := user.LookupId("0"); err == nil {
			names = append(names, root.Username)
		}
	}
	return names
}

// put writes a file of the cluster's account whole. The folder is that account's and we may be root, so that nothing that is
// there already is written to or followed.
func (c *Cluster) put(name, content string) error {
	temporary := name + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if c.account.switched {
		if err := os.Lchown(temporary, int(c.account.uid), int(c.account.gid)); err != nil {
			return err
		}
	}
	return os.Rename(temporary, name)
}

func (c *Cluster) nearSocket() string { return filepath.Join(c.cfg.Dir, "run") }

// socketDir returns the folder of the socket: run in the cluster's folder, or, where that path is too long for a socket, one
// below /run or the folder for temporary files that is named after it.
func socketDir(dir string, a account) (string, error) {
	near := filepath.Join(dir, "run")
	if fits(near) {
		return near, a.own(near)
	}
	sum := sha256.Sum256([]byte(dir))
	name := "vivarium-" + hex.EncodeToString(sum[:6])
	var last error
	for _, base := range []string{"/run", os.TempDir(), "/tmp"} {
		far := filepath.Join(base, name)
		if !fits(far) {
			continue
		}
		if last = a.own(far); last == nil {
			return far, nil
		}
	}
	return "", fault.Wrap(last, fault.Unavailable, "The path of the data folder is too long for a socket, and no other folder for it could be "+
		"made. Choose a data folder with a shorter path than %s.", dir)
}

func fits(dir string) bool { return len(filepath.Join(dir, ".s.PGSQL."+port)) <= maxSocketPath }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
