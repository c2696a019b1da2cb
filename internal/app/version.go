// Package app builds the server of its parts, starts them in order and stops them in reverse. Nothing but the command
// imports it.
package app

import "runtime/debug"

// Version returns what this program was built from: a tag or a pseudo-version, or "devel" and the commit.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "devel-" + setting.Value[:min(12, len(setting.Value))]
		}
	}
	return "devel"
}
