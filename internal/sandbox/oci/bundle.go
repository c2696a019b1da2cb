package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
)

// bundle is the folder of one sandbox: the runtime's configuration, its disk, the mount point of its home, and the record
// that tells a later server about it.
type bundle struct {
	dir string
	id  string
}

func (d *Driver) bundle(id string) bundle {
	return bundle{dir: filepath.Join(d.cfg.sandboxesDir(), id), id: id}
}

func (b bundle) config() string     { return filepath.Join(b.dir, "config.json") }
func (b bundle) bridge() string     { return filepath.Join(b.dir, "bridge.json") }
func (b bundle) pidFile() string    { return filepath.Join(b.dir, "pid") }
func (b bundle) runtimeLog() string { return filepath.Join(b.dir, "runtime.log") }
func (b bundle) disk() string       { return filepath.Join(b.dir, "disk") }
func (b bundle) diskImage() string  { return filepath.Join(b.dir, "disk.ext4") }
func (b bundle) home() string       { return filepath.Join(b.dir, "home") }
func (b bundle) recordFile() string { return filepath.Join(b.dir, "sandbox.json") }

// record is what the driver remembers of a sandbox. It is written before anything of the sandbox exists and removed
// after everything is gone, so that nothing is ever held without a record of it.
type record struct {
	ID        string            `json:"id"`
	Workspace string            `json:"workspace"`
	Isolation sandbox.Isolation `json:"isolation"` // empty in records of servers that knew gVisor alone
	Created   time.Time         `json:"created"`
	Limits    sandbox.Limits    `json:"limits"`
	Process   process           `json:"process"`             // the sandbox's; zero until it runs
	Loop      *int              `json:"loop"`                // number of the home's loop device
	DiskLoop  *int              `json:"diskLoop,omitempty"`  // that of the disk; runc
	FirstUser uint32            `json:"firstUser,omitempty"` // first id of the range that its users have on the machine; runc
	Stopped   bool              `json:"stopped"`             // Stop has been called
}

func (b bundle) save(r record) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(b.recordFile(), append(data, '\n'))
}

// load returns the sandbox's record, and NotFound when there is no such sandbox.
func (b bundle) load() (record, error) {
	data, err := os.ReadFile(b.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, fault.New(fault.NotFound, "No such sandbox.")
	}
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("record of sandbox %s: %w", b.id, err)
	}
	switch r.Isolation {
	case "":
		r.Isolation = sandbox.GVisor
	case sandbox.GVisor, sandbox.Runc:
	default:
		return record{}, fmt.Errorf("sandbox %s has an isolation that this server does not know: %q", b.id, r.Isolation)
	}
	return r, nil
}

// records returns the records of all sandboxes of this installation, in the order of their ids.
func (d *Driver) records() ([]record, error) {
	entries, err := os.ReadDir(d.cfg.sandboxesDir())
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "The list of sandboxes cannot be read.")
	}
	var out []record
	for _, e := range entries {
		if sandbox.ValidateID(e.Name()) != nil {
			continue
		}
		r, err := d.bundle(e.Name()).load()
		if err != nil {
			if !fault.Is(err, fault.NotFound) {
				d.cfg.Log.Warn("a sandbox's record cannot be read", "sandbox", e.Name(), "err", err)
			}
			// It is listed all the same: a crash between making the folder and the record leaves one without.
			r = record{ID: e.Name()}
		}
		out = append(out, r)
	}
	return out, nil
}

// clear removes the folder and what is left in it. The home must not be mounted: that is what Remove, not RemoveAll, makes
// sure of.
func (b bundle) clear() error {
	for _, name := range []string{b.home(), b.config(), b.bridge(), b.pidFile(), b.runtimeLog(), b.recordFile() + ".new", b.recordFile(), b.dir} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writeFile replaces a file as a whole, so that a reader never sees half of it.
func writeFile(name string, data []byte) error {
	if err := os.WriteFile(name+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
