package main

import (
	"context"
	"time"
)

// prompt is what a shell's prompt ends with, here and in a sandbox.
const prompt = "$ "

// coldOpen takes the time from asking for a terminal, when the workspace has no sandbox, to the first byte of the shell's
// prompt at the WebSocket. The floor is a shell that runsc starts directly from the same root file system.
func coldOpen(ctx context.Context, c *client, ws string, t tools, n int) ([]figure, error) {
	var ours, floor samples
	for range n {
		if err := c.endSession(ctx, ws); err != nil {
			return nil, err
		}
		began := time.Now()
		term, err := c.openTerminal(ctx, ws)
		if err != nil {
			return nil, err
		}
		shell := newStream(term)
		seen, err := shell.until(prompt)
		_ = shell.Close()
		if err != nil {
			return nil, err
		}
		ours = append(ours, seen.Sub(began))

		began = time.Now()
		direct, err := runscShell(t)
		if err != nil {
			return nil, err
		}
		seen, err = direct.until(prompt)
		_ = direct.Close()
		if err != nil {
			return nil, err
		}
		floor = append(floor, seen.Sub(began))
	}
	const what = "runsc running bash directly"
	return []figure{
		{name: "open a terminal, cold, to the prompt, p50", unit: "ms", value: ours.at(50), target: 300, floor: floor.at(50), what: what},
		{name: "open a terminal, cold, to the prompt, p90", unit: "ms", value: ours.at(90), target: 600, floor: floor.at(90), what: what},
	}, nil
}

// echo takes the time from a key to its echo, through the server and a sandbox, in turns with the same shell in a sandbox
// without us and in a PTY of this machine.
func echo(ctx context.Context, c *client, ws string, t tools, n int) ([]figure, error) {
	term, err := c.openTerminal(ctx, ws)
	if err != nil {
		return nil, err
	}
	ours := newStream(term)
	defer ours.Close()
	direct, err := runscShell(t)
	if err != nil {
		return nil, err
	}
	defer direct.Close()
	bare, err := hostShell()
	if err != nil {
		return nil, err
	}
	defer bare.Close()

	shells := []*stream{ours, direct, bare}
	times := make([]samples, len(shells))
	for _, shell := range shells {
		if _, err := shell.until(prompt); err != nil {
			return nil, err
		}
	}
	const turns = 10 // so that what else the machine does hits all of them alike
	for range turns {
		for i, shell := range shells {
			got, err := shell.typeKeys(n / turns)
			if err != nil {
				return nil, err
			}
			times[i] = append(times[i], got...)
		}
	}
	const inSandbox, onHost = "the same shell in a sandbox without us", "the same shell in a PTY of this machine"
	return []figure{
		{name: "key to echo, p50", unit: "ms", value: times[0].at(50), target: 1, over: true, floor: times[1].at(50), what: inSandbox},
		{name: "key to echo, p50", unit: "ms", value: times[0].at(50), target: 1, over: true, floor: times[2].at(50), what: onHost},
		{name: "key to echo, p99", unit: "ms", value: times[0].at(99), target: 10, floor: times[1].at(99), what: inSandbox},
		{name: "key to echo, p99", unit: "ms", value: times[0].at(99), target: 10, floor: times[2].at(99), what: onHost},
	}, nil
}
