package sandbox

import (
	"github.com/google/uuid"

	"vivarium/internal/fault"
)

// The smallest limits that a sandbox can work with. The memory holds gVisor's own kernel too, about 30 MB.
const (
	MinMemoryBytes = 128 << 20
	MinDiskBytes   = 16 << 20
	MinHomeBytes   = 32 << 20
	MinProcesses   = 8
	MinCPUs        = 0.01
	maxCPUs        = 4096
)

// Validate reports what is wrong with a spec that no driver could honour, as Invalid. Drivers check what only they know.
func (s Spec) Validate() error {
	if err := ValidateID(s.ID); err != nil {
		return err
	}
	if !isUUID(s.Workspace) {
		return fault.New(fault.Invalid, "A sandbox's workspace must be a UUID in its 36-character form.").On("workspace")
	}
	if s.Isolation != GVisor && s.Isolation != Runc {
		return fault.New(fault.Invalid, "The isolation must be %q or %q.", GVisor, Runc).On("isolation")
	}
	l := s.Limits
	switch {
	case !(l.CPUs >= MinCPUs && l.CPUs <= maxCPUs): // written so that NaN fails
		return fault.New(fault.Invalid, "A sandbox needs at least %.2f processors.", MinCPUs).On("limits.cpus")
	case l.MemoryBytes < MinMemoryBytes:
		return fault.New(fault.Invalid, "A sandbox needs at least %d MiB of memory.", MinMemoryBytes>>20).On("limits.memoryBytes")
	case l.Processes < MinProcesses:
		return fault.New(fault.Invalid, "A sandbox needs at least %d processes.", MinProcesses).On("limits.processes")
	case l.DiskBytes < MinDiskBytes:
		return fault.New(fault.Invalid, "A sandbox needs at least %d MiB of disk.", MinDiskBytes>>20).On("limits.diskBytes")
	case l.HomeBytes < MinHomeBytes:
		return fault.New(fault.Invalid, "A home needs at least %d MiB of disk.", MinHomeBytes>>20).On("limits.homeBytes")
	}
	return nil
}

// ValidateID reports an id that is not a UUID in its 36-character form as Invalid. Runtimes match ids by prefix, and
// drivers make file names of them.
func ValidateID(id string) error {
	if !isUUID(id) {
		return fault.New(fault.Invalid, "A sandbox's id must be a UUID in its 36-character form.").On("id")
	}
	return nil
}

// isUUID reports whether s is the canonical form: uuid.Parse alone lets braces, prefixes and upper case through.
func isUUID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}
