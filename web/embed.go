// Package web holds the web client as it was exported by the last build. Without one it holds nothing but a placeholder.
package web

import (
	"embed"
	"io/fs"
)

// The "all:" keeps names that begin with an underscore, such as _next.
//
//go:embed all:dist
var dist embed.FS

// Dist returns the exported files. The root of the result is the root of the site.
func Dist() (fs.FS, error) { return fs.Sub(dist, "dist") }
