package auth

import (
	"strings"
	"unicode/utf8"

	"vivarium/internal/fault"
)

// What a password may be. NIST SP 800-63B-4 (3.1.1.2): a length, a list of what is too common, and no rules about the kinds
// of characters. Nothing is trimmed, folded or cut: each byte counts.
const (
	MinPasswordCharacters = 8
	MaxPasswordBytes      = 1024
)

// ValidatePassword decides whether a password may be set for the user. The returned fault is Invalid, on "password", and
// never repeats it.
func ValidatePassword(password, username string) error {
	switch {
	case len(password) > MaxPasswordBytes:
		return invalidPassword("A password may have at most 1,024 bytes.")
	case !utf8.ValidString(password) || strings.ContainsRune(password, utf8.RuneError):
		return invalidPassword("A password must be valid UTF-8 text.")
	case utf8.RuneCountInString(password) < MinPasswordCharacters:
		return invalidPassword("A password must have at least 8 characters.")
	case strings.EqualFold(password, username):
		return invalidPassword("A password must not be the username.")
	case common(password):
		return invalidPassword("This password is among the first that anybody would try. A few unrelated words make a good one.")
	}
	return nil
}

func invalidPassword(message string) error {
	return fault.New(fault.Invalid, "%s", message).On("password")
}
