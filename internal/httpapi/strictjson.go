package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// What decodeStrict finds wrong. The texts hold nothing of the input.
var (
	errJSONUTF8      = errors.New("must be valid UTF-8")
	errJSONSurrogate = errors.New("must not have half of a surrogate pair (\\ud800 to \\udfff)")
	errJSONSyntax    = errors.New("must be valid JSON")
	errJSONDuplicate = errors.New("must not have the same field twice, also not in another case")
	errJSONTrailing  = errors.New("must be one JSON value")
	errJSONType      = errors.New("has a value that does not fit its field")
)

// jsonMessages are the texts of these errors: huma passes errors on as text.
var jsonMessages = func() map[string]bool {
	m := map[string]bool{}
	for _, err := range []error{errJSONUTF8, errJSONSurrogate, errJSONSyntax, errJSONDuplicate, errJSONTrailing, errJSONType} {
		m[err.Error()] = true
	}
	return m
}()

// strictJSON is the only format of the API. encoding/json turns invalid UTF-8 and halves of surrogate pairs into U+FFFD and
// takes the last of fields that are there twice or in another case; this refuses them all. Unknown fields are refused by
// huma's validation against the schema.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: decodeStrict,
}

func decodeStrict(data []byte, v any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errJSONType
	}
	return nil
}

// checkJSON checks what encoding/json lets through.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) {
		return errJSONUTF8
	}
	if !json.Valid(data) {
		return errJSONSyntax
	}
	if loneSurrogate(data) {
		return errJSONSurrogate
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number out of range is for whoever reads it
	if err := checkFields(dec); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errJSONTrailing
	}
	return nil
}

// checkFields reads one value and looks for fields that are there twice. data is valid JSON, of bounded size, so that the
// depth is bounded by encoding/json's own limit.
func checkFields(dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return errJSONSyntax
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if delim == '{' {
			name, err := dec.Token()
			if err != nil {
				return errJSONSyntax
			}
			// Upper before lower, so that characters that only one direction folds (such as the Kelvin sign) meet too.
			folded := strings.ToLower(strings.ToUpper(name.(string)))
			if seen[folded] {
				return errJSONDuplicate
			}
			seen[folded] = true
		}
		if err := checkFields(dec); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

// loneSurrogate reports whether a \u escape in valid JSON is half of a surrogate pair without its other half.
func loneSurrogate(data []byte) bool {
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++
		if data[i] != 'u' {
			continue
		}
		unit := hex4(data[i+1:])
		i += 4
		switch {
		case unit >= 0xdc00 && unit <= 0xdfff:
			return true
		case unit >= 0xd800 && unit <= 0xdbff:
			rest := data[i+1:]
			if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
				return true
			}
			if low := hex4(rest[2:]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 6
		}
	}
	return false
}

func hex4(p []byte) (v uint16) {
	for _, c := range p[:4] {
		v <<= 4
		switch {
		case c >= '0' && c <= '9':
			v |= uint16(c - '0')
		case c >= 'a' && c <= 'f':
			v |= uint16(c-'a') + 10
		case c >= 'A' && c <= 'F':
			v |= uint16(c-'A') + 10
		}
	}
	return v
}
