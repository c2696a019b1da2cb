package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// tokenPrefix lets secret scanners recognise a token that was committed or pasted somewhere.
const tokenPrefix = "vl_"

// secretBytes is how much randomness a secret has: 256 bits, so that guessing one is hopeless and a plain SHA-256 of it can
// stand in the database.
const secretBytes = 32

const hidden = "[token]"

// Token is the secret that a login's cookie carries. Whatever prints or encodes it gets a placeholder; only Reveal gives it.
// It must not be the key of a map that is encoded as JSON, which asks no key of string kind how it wants to look.
type Token string

// newToken makes a token: the prefix, then 32 random bytes as base64url.
func newToken() Token { return Token(tokenPrefix + newSecret()) }

func newSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Reveal returns the secret itself, for the cookie.
func (t Token) Reveal() string { return string(t) }

// String returns a placeholder.
func (t Token) String() string { return hidden }

// GoString returns a placeholder.
func (t Token) GoString() string { return hidden }

// Format prints a placeholder for every verb; without it, a verb that does not fit a string would print the secret.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue returns a placeholder.
func (t Token) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns a placeholder.
func (t Token) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON returns a placeholder.
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// SumOf returns what the database holds of a token. A token has enough randomness that a fast hash needs no salt, and the
// look-up by it tells nothing through its timing but about the sum.
func SumOf(t Token) TokenSum { return sha256.Sum256([]byte(t)) }

// plausible reports whether a token has the shape of one, so that nonsense does not reach the database.
func (t Token) plausible() bool {
	secret, ok := strings.CutPrefix(string(t), tokenPrefix)
	return ok && len(secret) == base64.RawURLEncoding.EncodedLen(secretBytes)
}
