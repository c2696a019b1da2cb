package auth

import (
	"strings"
	"testing"
	"time"

	"vivarium/internal/fault"
)

func TestA1_WhatAPasswordMayBe(t *testing.T) {
	for _, c := range []struct {
		name, password string
		ok             bool
	}{
		{"8 characters", "kx7 vqmp", true},
		{"8 characters of 4 bytes", "🐢🐎🦊🐧🐳🦉🐝🐙", true},
		{"spaces around it", "  two words  ", true},
		{"a passphrase", "correct horse battery staple", true},
		{"64 bytes", strings.Repeat("k7", 32), true},
		{"1,000 bytes", strings.Repeat("a", 1000), true},
		{"1,024 bytes", strings.Repeat("a", 1024), true},
		{"72 equal bytes and another", strings.Repeat("a", 72) + "X", true},
		{"a common word in a sentence", "my dragon eats 12 passwords", true},
		{"random letters", "hvbzqwtm", true},
		{"random hex", "9f86d081", true},
		{"a generated one", "N4t-vegan-hut", true},
		{"7 characters", "kx7 vqm", false},
		{"7 characters of 2 bytes", "äöüßéèê", false},
		{"1,025 bytes", strings.Repeat("ab", 512) + "c", false},
		{"10 MB", strings.Repeat("a", 10<<20), false},
		{"the username", "Johanna.Maier", false},
		{"invalid UTF-8", "kx7 vq\xffmp!", false},
		{"what JSON makes of invalid UTF-8", "kx7 vq\ufffdmp", false},
		{"empty", "", false},
	} {
		var err error
		took := time.Hour
		for range 3 { // the shortest, since a busy machine may pause any of them
			begun := time.Now()
			err = ValidatePassword(c.password, "johanna.maier")
			took = min(took, time.Since(begun))
		}
		if took > 50*time.Millisecond {
			t.Errorf("%s: took %v", c.name, took)
		}
		f, _ := err.(*fault.Error)
		switch {
		case c.ok && err != nil:
			t.Errorf("%s is refused: %v", c.name, err)
		case !c.ok && (f == nil || f.Kind != fault.Invalid || f.Field != "password"):
			t.Errorf("%s: want Invalid on password, got %v", c.name, err)
		case !c.ok && len(c.password) > 1 && strings.Contains(f.Message, c.password):
			t.Errorf("%s: the message repeats the password", c.name)
		}
	}
}

func TestA1_WhatEverybodyTriesFirstIsRefused(t *testing.T) {
	for _, password := range strings.Fields(`
		12345678 123456789 1234567890 0123456789 87654321 987654321 11111111 00000000 88888888 12341234 11223344 1234512345
		abcdefgh abcd1234 abc12345 a1b2c3d4 aaaaaaaa abababab abcabcabc qwertyui qwertyuiop qwerty123 qwerty12 1qaz2wsx 1q2w3e4r
		1q2w3e4r5t zaq12wsx asdfghjkl asdfasdf zxcvbnm123 qazwsxedc q1w2e3r4 !QAZ2wsx asdf1234 qwer1234 1234qwer 147258369
		password Password PASSWORD password1 password12 password123 Password123! p4ssw0rd P@ssw0rd P@$$w0rd1 passw0rd passwort1
		passwordpassword iloveyou iloveyou1 letmein1 welcome1 Welcome123 admin123 administrator root1234 superman batman123
		trustno1 sunshine princess1 football baseball dragon123 monkey12 shadow99 master123 michael1 jennifer charlie1 jordan23
		starwars whatever computer internet liverpool chelsea1 mustang1 corvette samsung1 pokemon1 minecraft startrek
		summer2024 Winter2025! december1 monday123 changeme changeme1 secret123 test1234 testtest guest123 google123 qwertz123`) {
		if err := ValidatePassword(password, "someone"); err == nil {
			t.Errorf("%s is let through", password)
		}
	}
}

func TestWhatAUsernameMayBe(t *testing.T) {
	for _, good := range []string{"a", "7", "Ada", "ada.lovelace", "x_y-z", "0cool", strings.Repeat("a", 32)} {
		if err := ValidateUsername(good); err != nil {
			t.Errorf("%q is refused: %v", good, err)
		}
	}
	for _, bad := range []string{"", " ", "a b", " a", "a ", ".a", "-a", "_a", "é", "a\u0301", "а", "a\x00", "a\n", "a/b", "a@b", "\xff",
		"a\u202eb", "a\u200b", "<b>", "'; drop", strings.Repeat("a", 33)} {
		f, _ := ValidateUsername(bad).(*fault.Error)
		if f == nil || f.Kind != fault.Invalid || f.Field != "username" {
			t.Errorf("%q: want Invalid on username, got %v", bad, f)
		}
	}
}
