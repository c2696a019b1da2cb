// Package terminal is one PTY's stream and its many viewers: a bounded ring of the last output with absolute sequence
// numbers, viewers that each read at their own pace, and flow control. The agent keeps the streams; the server passes
// attachments on. It knows no transport, and a viewer must never be able to slow another.
package terminal

import "time"

// Size is a terminal's size in character cells.
type Size struct {
	Cols uint16 `json:"cols"`
	Rows uint16 `json:"rows"`
}

// Bounds of a size; others are clamped.
const (
	MaxCols = 1000
	MaxRows = 500
)

// Kind says what a terminal is for.
type Kind string

// The kinds of terminals.
const (
	Shell Kind = "shell" // an interactive login shell
	Run   Kind = "run"   // one program, started by Run
)

// Options describe a terminal to open.
type Options struct {
	ID    string   `json:"id"` // chosen by the server: a UUID
	Kind  Kind     `json:"kind"`
	Title string   `json:"title"`
	Argv  []string `json:"argv"` // empty for the shell
	Dir   string   `json:"dir"`  // absolute; empty for /workspace
	Size  Size     `json:"size"`
}

// Exit says how a terminal's process ended.
type Exit struct {
	Code   int       `json:"code"`             // -1 when a signal ended it
	Signal string    `json:"signal,omitempty"` // such as "SIGKILL"
	At     time.Time `json:"at"`
}

// State is a terminal as its agent knows it.
type State struct {
	ID      string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Title   string    `json:"title"`
	Size    Size      `json:"size"`
	Started time.Time `json:"started"`
	End     uint64    `json:"end"`            // sequence number after the last byte of output
	Busy    bool      `json:"busy,omitempty"` // something runs in it: the program of a run, or a process beside the shell
	Exit    *Exit     `json:"exit,omitempty"` // nil while it runs
}

// AttachOptions say where a viewer starts and what it may do.
type AttachOptions struct {
	// From is the sequence number of the first byte wanted. Output that the ring no longer holds is reported as dropped.
	From  uint64
	Size  Size // zero for a viewer that has no say in the size
	Write bool // counts for the size and holds the PTY back when it falls behind; input from others is not accepted
}

// Event is what an attachment delivers, in order. Exactly one of its parts is set.
type Event struct {
	Seq     uint64 // of the first byte of Data
	Data    []byte // valid until the next call of Next
	Dropped uint64 // so many bytes were lost to this viewer; Seq is where it goes on
	Size    *Size  // the terminal's size is now this
	Exit    *Exit  // the process has ended and all output was delivered; the last event
}

// Attachment is one viewer's connection to a terminal. Next has one caller at a time; the other methods may be called
// concurrently with it.
type Attachment interface {
	// Next blocks for the next event. It returns io.EOF after Exit was delivered or the terminal was closed, and another
	// error when the connection to the agent was lost.
	Next() (Event, error)
	Input(p []byte) error
	Resize(size Size) error
	// Ack says that everything before seq has been drawn. Output stops when a writing viewer is Window bytes behind.
	Ack(seq uint64) error
	Close() error
}

const (
	// RingBytes is how much output an agent keeps per terminal.
	RingBytes = 1 << 20
	// Window is how far a writing viewer may lag behind before the PTY is held back, in bytes.
	Window = 512 << 10
	// MaxFrame bounds one piece of output or input, in bytes.
	MaxFrame = 64 << 10
)
