package workspace

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"vivarium/internal/fault"
)

// What a path may be at most. A name is one part of a path.
const (
	MaxPathBytes = 1024
	MaxNameBytes = 255
	MaxPathDepth = 32
)

// ReservedPrefix begins the names of the agent's temporary files: it writes a file beside its place and renames it. Such
// names are never stored.
const ReservedPrefix = ".vivarium-tmp-"

// ignoredNames are folders of caches, which any tool can make again.
var ignoredNames = [...]string{"__pycache__", ".venv", "node_modules", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache",
	".ruff_cache"}

// IgnoredNames returns the names of things that are never stored, wherever they are in a path.
func IgnoredNames() []string { return slices.Clone(ignoredNames[:]) }

// Ignored reports whether a path, or something that it is in, is a cache or a temporary file of the agent. Such things live
// in the sandbox only.
func Ignored(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if slices.Contains(ignoredNames[:], part) || strings.HasPrefix(part, ReservedPrefix) {
			return true
		}
	}
	return false
}

// ValidatePath is the one place that decides what a path in a workspace may be. A path is relative to the workspace's root,
// its names are separated by "/", and it is stored and compared byte for byte. It must be
//
//   - UTF-8 in the composed form (NFC), so that what looks the same is the same. The decomposed form is refused and not
//     converted, because the file in the sandbox would then have another name than the stored one;
//   - of 1 to 1,024 bytes, with names of 1 to 255 bytes, at most 32 deep: what Linux file systems take, with room to spare;
//   - without the names "." and "..", and without names that the agent reserves (ReservedPrefix);
//   - without control characters (Cc, which has NUL, line breaks and ESC), line and paragraph separators, characters that turn
//     the direction of text (U+202A–E, U+2066–9), U+FEFF, and U+FFFD, which stands for bytes that somebody could not read;
//   - made of names with at least one visible character.
//
// All else is ordinary, also spaces, quotes, a leading "-", "\", ":", "$", "%2e" and other things that mean something to
// shells, browsers or Windows: whoever passes a path on must quote it. The returned fault is Invalid, on "path", and does not
// repeat the path.
func ValidatePath(path string) error {
	switch {
	case path == "":
		return invalidPath("A path must not be empty.")
	case len(path) > MaxPathBytes:
		return invalidPath("A path may have at most 1,024 bytes.")
	case !utf8.ValidString(path):
		return invalidPath("A path must be UTF-8.")
	case path[0] == '/':
		return invalidPath("A path must not begin with \"/\": it starts at the workspace's own root.")
	}
	for _, r := range path {
		if why := forbidden(r); why != "" {
			return invalidPath("A path must not contain %s (%U).", why, r)
		}
	}
	if !norm.NFC.IsNormalString(path) {
		return invalidPath("A path must be in the composed form of Unicode (NFC): write accented letters as one character.")
	}
	depth := 0
	for name := range strings.SplitSeq(path, "/") {
		depth++
		if err := validateName(name); err != nil {
			return err
		}
	}
	if depth > MaxPathDepth {
		return invalidPath("A path may be at most 32 names deep.")
	}
	return nil
}

func validateName(name string) error {
	switch {
	case name == "":
		return invalidPath("A path must not have empty names: neither \"//\" nor \"/\" at its end.")
	case name == "." || name == "..":
		return invalidPath("A path must not have the names \".\" and \"..\".")
	case len(name) > MaxNameBytes:
		return invalidPath("A name may have at most 255 bytes.")
	case strings.HasPrefix(name, ReservedPrefix):
		return invalidPath("Names that begin with %q are used by the system.", ReservedPrefix)
	case !strings.ContainsFunc(name, visible):
		return invalidPath("A name must have a visible character.")
	}
	return nil
}

// forbidden says in words what is wrong with a character, or nothing.
func forbidden(r rune) string {
	switch {
	case unicode.IsControl(r):
		return "control characters"
	case r == '\u2028' || r == '\u2029':
		return "line or paragraph separators"
	case isBidiControl(r):
		return "characters that change the direction of text"
	case r == '\ufeff':
		return "a byte order mark"
	case r == utf8.RuneError:
		return "the replacement character"
	}
	return ""
}

func isBidiControl(r rune) bool {
	return r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// visible reports whether a character leaves a mark: neither a space nor a format character nor a filler.
func visible(r rune) bool {
	return !unicode.In(r, unicode.Z, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) &&
		r != '\u2800' // the empty Braille pattern
}

func invalidPath(format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).On("path")
}
