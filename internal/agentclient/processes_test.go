package agentclient

import (
	"fmt"
	"strings"
	"testing"

	"vivarium/internal/agentproto"
	"vivarium/internal/fault"
	"vivarium/internal/terminal"
)

func TestClosingATerminalEndsItsProcesses(t *testing.T) {
	b := newBox(t)
	c := b.client()
	// Two jobs with groups of their own, one of which does not listen to a hang-up.
	s := run(t, c, "t", "bash", "-c", `set -m; (trap '' HUP; exec sleep 7771) & sleep 7772 & echo ready; wait`)
	s.until("ready")
	if err := c.CloseTerminal(b.ctx(), "t"); err != nil {
		t.Fatal(err)
	}
	for s.step() {
	}
	check := run(t, c, "ps", "sh", "-c", `for i in $(seq 100); do cat /proc/[0-9]*/cmdline | tr '\0' ' ' | grep -q 'sleep 777[12]' || { echo all gone; exit; }; sleep 0.1; done`)
	check.until("all gone")
	if err := c.CloseTerminal(b.ctx(), "t"); !fault.Is(err, fault.NotFound) {
		t.Fatalf("want NotFound the second time, got %v", err)
	}
}

func TestTerminalsAreBounded(t *testing.T) {
	b := newBox(t)
	c := b.client()
	for i := range agentproto.MaxTerminals {
		if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: fmt.Sprint(i), Kind: terminal.Run, Argv: []string{"true"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "more", Kind: terminal.Shell}); !fault.Is(err, fault.Exhausted) {
		t.Fatalf("want Exhausted, got %v", err)
	}
	if err := c.CloseTerminal(b.ctx(), "3"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "4", Kind: terminal.Shell}); !fault.Is(err, fault.Conflict) {
		t.Fatalf("want Conflict for an id that is taken, got %v", err)
	}
	if _, err := c.OpenTerminal(b.ctx(), terminal.Options{ID: "more", Kind: terminal.Shell}); err != nil {
		t.Fatal(err)
	}
}

func TestS1_AUsersProcessHasNoRightsAndAShortEnvironment(t *testing.T) {
	if !privileged() {
		t.Skip("only root can take rights away")
	}
	b := newBox(t)
	c := b.client()
	s := run(t, c, "t", "sh", "-c", `id -u; id -g; id -G; grep -E 'CapEff|CapPrm|CapInh|CapAmb' /proc/self/status; ls -ln $(tty) | cut -c1-10; kill -9 1; env | cut -d= -f1 | sort | tr '\n' ' '; echo end`)
	s.until(" end")
	text := s.text.String()
	for _, want := range []string{"1000\r\n1000\r\n1000\r\n", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000", "crw",
		"COLORTERM HOME LANG LOGNAME MPLBACKEND PATH PIP_BREAK_SYSTEM_PACKAGES PIP_DISABLE_PIP_VERSION_CHECK PWD SHELL TERM USER"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in %q", want, text)
		}
	}
	if !strings.Contains(text, "not permitted") {
		t.Errorf("want the user kept from killing the agent: %q", text)
	}
}

func TestS6_OrphansAreReaped(t *testing.T) {
	if !privileged() {
		t.Skip("the agent is not PID 1 without root")
	}
	b := newBox(t)
	c := b.client()
	s := run(t, c, "t", "sh", "-c", `for i in $(seq 200); do (setsid true &); done; for i in $(seq 100); do n=$(cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z'); [ $n = 0 ] && { echo no zombies; exit; }; sleep 0.1; done; echo $n zombies`)
	s.until("zombies")
	if !strings.Contains(s.text.String(), "no zombies") {
		t.Fatalf("got %q", s.text.String())
	}
}

func TestS2_AForkBombMeetsItsLimitAndTheAgentAnswers(t *testing.T) {
	if runsc == "" {
		t.Skip("outside gVisor the kernel counts the processes of a uid over all sandboxes, and a cgroup is the right limit")
	}
	b := newBox(t, "-processes", "64")
	c := b.client()
	s := run(t, c, "bomb", "bash", "-c", `for i in $(seq 200); do sleep 600 & done; echo survived`)
	s.until("Resource temporarily unavailable")
	list, err := c.Terminals(b.ctx())
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := c.CloseTerminal(b.ctx(), "bomb"); err != nil {
		t.Fatal(err)
	}
	after := run(t, c, "after", "sh", "-c", "until (true) 2>/dev/null; do :; done; (echo room again)")
	after.until("room again")
}
