package agentproto

import (
	"encoding/hex"
	"fmt"
	"net/url"
)

// Kinds of entries. Other is what no workspace can store, such as a FIFO; it always comes with a problem.
const (
	File   = "file"
	Folder = "folder"
	Link   = "link"
	Other  = "other"
)

// ScanRequest is the body of POST /v1/files/scan.
type ScanRequest struct {
	Paths      []string `json:"paths"`  // nil: the whole tree
	Ignore     []string `json:"ignore"` // names that are left out wherever they are
	MaxFile    int64    `json:"maxFile"`
	MaxEntries int      `json:"maxEntries"`
}

// Line is one line of a scan's answer: an entry, or the end. An answer that does not end with Complete is no answer.
type Line struct {
	Path       string `json:"path,omitempty"`
	RawPath    []byte `json:"rawPath,omitempty"` // instead of Path where that is not UTF-8; comes with a problem
	Kind       string `json:"kind,omitempty"`
	Executable bool   `json:"executable,omitempty"`
	Size       int64  `json:"size,omitempty"`
	Sum        string `json:"sum,omitempty"` // hexadecimal SHA-256 of a file's content
	Target     string `json:"target,omitempty"`
	Problem    string `json:"problem,omitempty"`

	Complete bool   `json:"complete,omitempty"`
	Count    int    `json:"count,omitempty"`
	Error    *Error `json:"error,omitempty"` // instead of Complete, when the scan failed on the way
}

// Changes is one line of a watch.
type Changes struct {
	Paths []string `json:"paths,omitempty"`
	All   bool     `json:"all,omitempty"` // anything may have changed
}

// Loaded is the answer to POST /v1/files/load.
type Loaded struct {
	Loaded int `json:"loaded"`
}

// Expect is what must be at a path before it is changed. The zero value expects nothing there.
type Expect struct {
	Kind       string
	Sum        [32]byte
	Executable bool
	Target     string
	Any        bool
}

// AddTo puts the expectation into a query.
func (e Expect) AddTo(q url.Values) {
	switch {
	case e.Any:
		q.Set("expect", "any")
	case e.Kind == "":
		q.Set("expect", "absent")
	default:
		q.Set("expect", e.Kind)
	}
	switch e.Kind {
	case File:
		q.Set("sum", hex.EncodeToString(e.Sum[:]))
		q.Set("expectExecutable", Bit(e.Executable))
	case Link:
		q.Set("expectTarget", e.Target)
	}
}

// ParseExpect reads an expectation from a query.
func ParseExpect(q url.Values) (Expect, error) {
	switch kind := q.Get("expect"); kind {
	case "any":
		return Expect{Any: true}, nil
	case "absent":
		return Expect{}, nil
	case Folder:
		return Expect{Kind: Folder}, nil
	case Link:
		return Expect{Kind: Link, Target: q.Get("expectTarget")}, nil
	case File:
		sum, ok := ParseSum(q.Get("sum"))
		if !ok {
			return Expect{}, fmt.Errorf("sum must be 64 hexadecimal digits")
		}
		return Expect{Kind: File, Sum: sum, Executable: q.Get("expectExecutable") == "1"}, nil
	default:
		return Expect{}, fmt.Errorf("expect must be any, absent, file, folder or link")
	}
}

// ParseSum reads a hexadecimal SHA-256.
func ParseSum(s string) (sum [32]byte, ok bool) {
	if len(s) != 2*len(sum) {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(s))
	return sum, err == nil
}

// Bit returns "1" or "0".
func Bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
