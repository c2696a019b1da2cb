package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
)

// Secret is a value that is never printed.
type Secret string

const hidden = "[hidden]"

// String hides the secret; an empty one shows as empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the secret.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the secret.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// Bytes is a number of bytes, written with a binary unit, as in 512MiB.
type Bytes int64

var units = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

// String writes the number with the largest unit that leaves it whole.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b)/u.size, u.name)
		}
	}
	return fmt.Sprintf("%d", int64(b))
}

// UnmarshalText reads a whole number with or without a unit: KiB, MiB, GiB or TiB.
func (b *Bytes) UnmarshalText(text []byte) error {
	number, factor := string(text), int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, factor = n, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return fmt.Errorf("must be a number of bytes, such as 10MiB, 1GiB or 1048576")
	}
	*b = Bytes(n * factor)
	return nil
}

// LogValue is the configuration for the log, without its secrets and without what is not set.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if field := v.Field(i); !field.IsZero() {
			attrs = append(attrs, slog.Any(v.Type().Field(i).Name, field.Interface()))
		}
	}
	return slog.GroupValue(attrs...)
}
