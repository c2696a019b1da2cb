package agent

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// signalSession sends a signal to every process of a session and returns how many it reached. Job control gives each job a
// group of its own, so that the group of the leader is not enough.
func signalSession(session int, signal unix.Signal) int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	reached := 0
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && sessionOf(pid) == session && unix.Kill(pid, signal) == nil {
			reached++
		}
	}
	return reached
}

// sessionOf returns the session of a process, or 0.
func sessionOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything; the fields after it are state, parent, group, session.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 4 {
		return 0
	}
	session, err := strconv.Atoi(string(fields[3]))
	if err != nil {
		return 0
	}
	return session
}
