package workspace

import "vivarium/internal/fault"

// VersionConflict says that what a Change expected at a path is not there (any more). It unwraps to a fault of kind Conflict.
type VersionConflict struct {
	// Current is what is there now; nil when there is nothing.
	Current *Item
}

// Error implements error with the message of the fault.
func (c *VersionConflict) Error() string { return c.Unwrap().Error() }

// Unwrap returns a fault of kind Conflict with a message for the person who saved.
func (c *VersionConflict) Unwrap() error {
	if c.Current == nil {
		return fault.New(fault.Conflict, "What you changed was removed or moved in the meantime.")
	}
	return fault.New(fault.Conflict, "What is here was made or changed in the meantime.")
}
