package workspace

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"vivarium/internal/fault"
)

func TestF1_WhatAPathMayBe(t *testing.T) {
	deep := strings.Repeat("d/", 31)
	for _, c := range []struct{ name, path string }{
		{"a file", "main.py"},
		{"a file in folders", "a/b/c.txt"},
		{"a hidden file", ".gitignore"},
		{"three dots", "..."},
		{"dots around", "..a/b.."},
		{"an escaped slash, which is no slash", "%2e%2e%2f"},
		{"an escaped slash, twice", "%252e%252e%252f"},
		{"a backslash", `a\b`},
		{"a parent as Windows writes it", `..\x`},
		{"a drive as Windows writes it", `C:\x`},
		{"a shell's command", "'; touch /tmp/pwn; '"},
		{"a shell's substitution", "$(id)"},
		{"a program's option", "-rf"},
		{"a shell's home", "~"},
		{"a shell's pattern", "*?[a]"},
		{"quotes", "it's \"quoted\""},
		{"markup", "<img src=x onerror=alert(1)>"},
		{"spaces around", " a "},
		{"composed accents", "caf\u00e9"},
		{"another script", "данные/数据/データ.csv"},
		{"a joined emoji", "\U0001F469\u200d\U0001F52C.txt"},
		{"a zero-width space in a word", "a\u200bb"},
		{"a word written from right to left", "\u05e9\u05dc\u05d5\u05dd.txt"},
		{"a name that begins like the agent's", ".vivarium"},
		{"255 bytes in a name", strings.Repeat("n", 255)},
		{"32 deep", deep + "f"},
		{"1,024 bytes", strings.Repeat(strings.Repeat("p", 203)+"/", 5) + "last"},
	} {
		if err := ValidatePath(c.path); err != nil {
			t.Errorf("%s is refused: %v", c.name, err)
		}
	}
}

func TestF1_WhatAPathMayNotBe(t *testing.T) {
	for _, c := range []struct{ name, path, reason string }{
		{"empty", "", "empty"},
		{"the root", "/", "begin"},
		{"absolute", "/etc/x", "begin"},
		{"absolute, twice", "//x", "begin"},
		{"the folder itself", ".", `"."`},
		{"the folder above", "..", `".."`},
		{"out of the workspace", "../x", `".."`},
		{"out of the workspace, later", "a/../../x", `".."`},
		{"inside, by the folder above", "a/../x", `".."`},
		{"the folder itself inside", "a/./b", `"."`},
		{"an empty name", "a//b", "empty names"},
		{"a slash at the end", "a/", "empty names"},
		{"NUL", "a\x00b", "control"},
		{"a line break", "a\nb", "control"},
		{"a carriage return", "a\r", "control"},
		{"a tab", "a\tb", "control"},
		{"an escape", "\x1b[31mred", "control"},
		{"delete", "a\x7f", "control"},
		{"a control of the second range", "a\u0085", "control"},
		{"a line separator", "a\u2028b", "separator"},
		{"text turned around", "gpj\u202eexe", "direction"},
		{"an isolate", "a\u2066b", "direction"},
		{"a byte order mark", "\ufeffa", "byte order mark"},
		{"what JSON makes of invalid text", "a\ufffd", "replacement"},
		{"only a zero-width space", "\u200b", "visible"},
		{"only a zero-width space, in a folder", "a/\u200b/b", "visible"},
		{"only joiners", "\u200c\u200d\u2060", "visible"},
		{"only a filler", "\u3164", "visible"},
		{"only spaces", "a/  /b", "visible"},
		{"only a wide space", "\u3000", "visible"},
		{"invalid UTF-8", "a\xff", "UTF-8"},
		{"a surrogate as bytes", "a\xed\xa0\x80", "UTF-8"},
		{"a slash in too many bytes", "a\xc0\xafb", "UTF-8"},
		{"decomposed accents", "cafe\u0301", "NFC"},
		{"a composed letter that is no NFC", "\u212b", "NFC"},
		{"the agent's temporary file", ".vivarium-tmp-1234", "used by the system"},
		{"below the agent's folder", "a/.vivarium-tmp-x/b", "used by the system"},
		{"256 bytes in a name", strings.Repeat("n", 256), "255 bytes"},
		{"256 bytes in a name of 128 characters", strings.Repeat("\u00e9", 128), "255 bytes"},
		{"33 deep", strings.Repeat("d/", 32) + "f", "32 names"},
		{"1,025 bytes", strings.Repeat(strings.Repeat("p", 203)+"/", 5) + "lasts", "1,024 bytes"},
		{"4,097 bytes", strings.Repeat("p", 4097), "1,024 bytes"},
	} {
		err := ValidatePath(c.path)
		f, _ := err.(*fault.Error)
		switch {
		case f == nil || f.Kind != fault.Invalid || f.Field != "path":
			t.Errorf("%s: want Invalid on path, got %v", c.name, err)
		case !strings.Contains(f.Message, c.reason):
			t.Errorf("%s: want a reason with %q, got %q", c.name, c.reason, f.Message)
		}
	}
}

func TestF1_AValidPathStaysInsideAndIsItsOnlySpelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("a./\\\x00é\u0301\u202e ~")), 0, 40, -1)).Draw(t, "path")
		if ValidatePath(p) != nil {
			return
		}
		if !utf8.ValidString(p) || !norm.NFC.IsNormalString(p) || len(p) > MaxPathBytes {
			t.Fatalf("%q is let through", p)
		}
		for part := range strings.SplitSeq(p, "/") {
			if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\x00\n\r\x1b\u202e") {
				t.Fatalf("%q is let through", p)
			}
		}
	})
}

func TestCachesAndTemporaryFilesAreIgnoredWhereverTheyAre(t *testing.T) {
	for _, p := range []string{"__pycache__", "a/__pycache__/m.pyc", ".venv/bin/python", "web/node_modules/x/index.js",
		".ipynb_checkpoints/a.ipynb", "t/.pytest_cache", ".mypy_cache/x", ".ruff_cache", "a/.vivarium-tmp-81"} {
		if !Ignored(p) {
			t.Errorf("%s is not ignored", p)
		}
	}
	for _, p := range []string{"venv/x", "a/pycache", "node_modules.txt", "my__pycache__", ".vivarium-notes", "main.py", ".git/config"} {
		if Ignored(p) {
			t.Errorf("%s is ignored", p)
		}
	}
	IgnoredNames()[0] = "main.py"
	if Ignored("main.py") {
		t.Error("the list can be changed from outside")
	}
}
