package workspace

import (
	"strings"
	"testing"

	"vivarium/internal/fault"
)

func TestWhatAWorkspaceMayBeCalled(t *testing.T) {
	for in, want := range map[string]string{
		"Sales":                        "Sales",
		"  Sales 2026\t":               "Sales 2026",
		"cafe\u0301":                   "caf\u00e9",
		"🐢":                            "🐢",
		"a / b \\ c <d> & \"e\"":       "a / b \\ c <d> & \"e\"",
		strings.Repeat("\u00e9", 100):  strings.Repeat("\u00e9", 100),
		strings.Repeat("e\u0301", 100): strings.Repeat("\u00e9", 100),
	} {
		if got, err := cleanName(in); err != nil || got != want {
			t.Errorf("%q: want %q, got %q, %v", in, want, got, err)
		}
	}
	for _, bad := range []string{"", "   ", "a\nb", "a\x00b", "a\x1b[0m", "a\u202eb", "\u200b", "\u3164", "\xff", "a\ufffd", "a\u2028b",
		strings.Repeat("a", 101), strings.Repeat("a", 1<<20)} {
		f, _ := func() (*fault.Error, bool) {
			_, err := cleanName(bad)
			f, ok := err.(*fault.Error)
			return f, ok
		}()
		if f == nil || f.Kind != fault.Invalid || f.Field != "name" {
			t.Errorf("%.20q: want Invalid on name, got %v", bad, f)
		}
	}
}

func TestWhatALinkMayPointTo(t *testing.T) {
	for _, good := range []string{"a", "../a", "/etc/passwd", "a b", strings.Repeat("a", MaxTargetBytes)} {
		if err := ValidateTarget(good); err != nil {
			t.Errorf("%.20q is refused: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a\x00", "a\nb", "\xff", "a\u202e", strings.Repeat("a", MaxTargetBytes+1)} {
		if err := ValidateTarget(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%.20q: want Invalid, got %v", bad, err)
		}
	}
}

func TestSizesReadAsAPersonWouldWriteThem(t *testing.T) {
	for n, want := range map[int64]string{64 << 20: "64 MiB", 1 << 30: "1 GiB", 512: "512 bytes", 3 << 10: "3 KiB",
		1<<20 + 1: "1048577 bytes"} {
		if got := inWords(n); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
}

func TestAVersionConflictIsAConflictWithWhatIsThere(t *testing.T) {
	for _, c := range []*VersionConflict{{}, {Current: &Item{Version: 7}}} {
		if !fault.Is(c, fault.Conflict) || c.Error() == "" {
			t.Errorf("want a Conflict, got %v", c)
		}
	}
}
