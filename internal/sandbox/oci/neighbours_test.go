package oci_test

import (
	"strings"
	"testing"

	"vivarium/internal/sandbox"
)

func TestS8_NeighboursDoNotSeeEachOther(t *testing.T) { forEach(t, testNeighbours) }

func testNeighbours(t *testing.T, isolation sandbox.Isolation) {
	d := open(t, config(t))
	_, a := made(t, d, isolation, limits)
	_, b := made(t, d, isolation, limits)
	must(t, a, `echo secret >/tmp/mark; echo secret >/dev/shm/mark; echo secret >/workspace/mark; echo secret >~/mark
		python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("\0mark")' && sleep 0`)
	out := must(t, b, `ls /tmp/mark /dev/shm/mark /workspace/mark ~/mark 2>/dev/null
		grep -c mark /proc/net/unix; ls -d /proc/[0-9]* | wc -l`)
	lines := strings.Fields(out)
	if len(lines) != 2 || lines[0] != "0" || atoi(t, lines[1]) > 10 {
		t.Errorf("want nothing of the neighbour and few processes, got %q", out)
	}
}
