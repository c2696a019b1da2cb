package auth

import (
	"strings"

	"vivarium/internal/fault"
)

// MaxUsernameBytes is how long a username may be.
const MaxUsernameBytes = 32

// ValidateUsername decides what a username may be: 1 to 32 of the ASCII letters, digits, ".", "_" and "-", beginning with a
// letter or a digit. Names that differ only in case are the same name. ASCII alone, so that no two names look alike.
// The returned fault is Invalid, on "username".
func ValidateUsername(name string) error {
	switch {
	case name == "":
		return invalidUsername("A username must not be empty.")
	case len(name) > MaxUsernameBytes:
		return invalidUsername("A username may have at most 32 characters.")
	case strings.ContainsFunc(name, func(r rune) bool { return !alphanumeric(r) && r != '.' && r != '_' && r != '-' }):
		return invalidUsername("A username may have the letters a to z and A to Z, digits, \".\", \"_\" and \"-\".")
	case !alphanumeric(rune(name[0])):
		return invalidUsername("A username must begin with a letter or a digit.")
	}
	return nil
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func invalidUsername(message string) error {
	return fault.New(fault.Invalid, "%s", message).On("username")
}
