package agent

import "io"

// logLines bounds what is logged but not yet written.
const logLines = 64

// lossy is a log that never makes anybody wait: nobody may be reading it, and its user can make the agent log.
type lossy chan []byte

// Lossy returns a writer that forgets what w cannot take in time.
func Lossy(w io.Writer) io.Writer {
	l := make(lossy, logLines)
	go func() {
		for line := range l {
			_, _ = w.Write(line) // there is nowhere else to say so
		}
	}()
	return l
}

func (l lossy) Write(p []byte) (int, error) {
	select {
	case l <- append([]byte(nil), p...):
	default:
	}
	return len(p), nil
}
