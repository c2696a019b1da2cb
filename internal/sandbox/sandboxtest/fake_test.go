package sandboxtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"vivarium/internal/fault"
	"vivarium/internal/sandbox"
	"vivarium/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is an agent that answers each line with the sandbox's id.
func echo(id string, stream io.ReadWriteCloser) {
	lines := bufio.NewScanner(stream)
	for lines.Scan() {
		if _, err := fmt.Fprintln(stream, id); err != nil {
			return
		}
	}
}

type echoClient struct {
	stream io.ReadWriteCloser
	mu     sync.Mutex
}

func (c *echoClient) Boot(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := io.WriteString(c.stream, "boot\n"); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(c.stream).ReadString('\n')
	return strings.TrimSpace(line), err
}

func (c *echoClient) Shell(context.Context, string) (string, int, error) {
	return "", 0, errors.ErrUnsupported
}

func (c *echoClient) Close() error { return c.stream.Close() }

func TestFakePassesTheSuite(t *testing.T) {
	sandboxtest.Run(t, func(t *testing.T) sandboxtest.Harness {
		fake := sandboxtest.NewFake(echo)
		t.Cleanup(fake.Close)
		return sandboxtest.Harness{
			Driver: fake,
			Reopen: func(testing.TB) sandbox.Driver { return fake.Reopen() },
			Other:  func(testing.TB) sandbox.Driver { return fake.Other() },
			Limits: sandbox.Limits{CPUs: 1, MemoryBytes: 1 << 30, Processes: 64, DiskBytes: 1 << 30, HomeBytes: 1 << 30},
			Connect: func(stream io.ReadWriteCloser) (sandboxtest.Agent, error) {
				return &echoClient{stream: stream}, nil
			},
			Kill: func(_ testing.TB, id string) { fake.Kill(id, sandbox.Exit{Detail: "The sandbox ended unexpectedly."}) },
		}
	})
}

func TestFakeFailsWhenToldTo(t *testing.T) {
	fake := sandboxtest.NewFake(echo)
	defer fake.Close()
	fake.FailCreate(fault.New(fault.Unavailable, "no room"))
	spec := sandboxtest.Harness{Limits: sandbox.Limits{CPUs: 1, MemoryBytes: 1 << 30, Processes: 64, DiskBytes: 1 << 30, HomeBytes: 1 << 30}}.Spec()
	if err := fake.Create(t.Context(), spec); !fault.Is(err, fault.Unavailable) {
		t.Errorf("want the error asked for, got %v", err)
	}
	fake.FailCreate(nil)
	if err := fake.Create(t.Context(), spec); err != nil {
		t.Errorf("want success again, got %v", err)
	}
	if got := fake.Homes(); len(got) != 1 || got[0] != spec.Workspace {
		t.Errorf("want the workspace's home, got %v", got)
	}
	fake.Kill(spec.ID, sandbox.Exit{OutOfMemory: true, Detail: "too much"})
	if exit, err := fake.Wait(t.Context(), spec.ID); err != nil || !exit.OutOfMemory {
		t.Errorf("want the end asked for, got %+v, %v", exit, err)
	}
}
