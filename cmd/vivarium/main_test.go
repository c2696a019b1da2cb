package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// output runs a command and returns its exit code with what it printed on standard output and standard error.
func output(t *testing.T, args ...string) (int, string, string) {
	t.Helper()
	capture := func(file **os.File) func() string {
		before := *file
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		*file = w
		text := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(r)
			text <- string(all)
		}()
		return func() string {
			*file = before
			w.Close()
			return <-text
		}
	}
	out, errs := capture(&os.Stdout), capture(&os.Stderr)
	code := run(args)
	return code, out(), errs()
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string
	}{
		{"the version", []string{"version"}, 0, "vivarium ", ""},
		{"the document", []string{"openapi"}, 0, `"openapi": "3.1.0"`, ""},
		{"no command", nil, 2, "", "serve"},
		{"an unknown command", []string{"nonsense"}, 2, "", "nonsense"},
		{"an unknown flag", []string{"serve", "--nonsense"}, 2, "", "nonsense"},
		{"a value that is none", []string{"serve", "--sandbox-memory=much"}, 2, "", "1GiB"},
		{"a configuration that is not valid", []string{"serve", "--isolation=none", "--registration=maybe"}, 1, "", "--registration (VIVARIUM_REGISTRATION) must be open or closed"},
	} {
		code, out, errs := output(t, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.err) {
			t.Errorf("%s: want %d, got %d\nout: %.300s\nerr: %.600s", c.name, c.code, code, out, errs)
		}
	}
}

func TestAPasswordIsReadFromAPipe(t *testing.T) {
	for text, want := range map[string]string{"a long enough one\n": "a long enough one", "no line end": "no line end", " spaces stay \r\n": " spaces stay ", "first\nsecond\n": "first", "": ""} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		got, err := readPassword(r, io.Discard)
		r.Close()
		if got != want || (err != nil) != (text == "") {
			t.Errorf("%q: want %q, got %q %v", text, want, got, err)
		}
	}
}
