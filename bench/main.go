// Command bench measures a real server with real sandboxes, from outside, and prints each figure with its target and its
// floor beside it: the same thing done without us, in the same run. It never fails because a figure is over its target.
//
//	make bench
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// tools are where the binaries under test are.
type tools struct {
	server string // the vivarium binary
	runsc  string
	rootfs string // folder
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == idleServer {
		serveNothing()
		return
	}
	build := flag.String("build", ".build", "folder of the build: bin/vivarium, bin/runsc, rootfs")
	opens := flag.Int("opens", 15, "how many cold terminals to open")
	keys := flag.Int("keys", 1000, "how many keys to type")
	files := flag.Int("files", 200, "how many files to save and to write")
	flag.Parse()
	dir, err := filepath.Abs(*build)
	if err != nil {
		fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := tools{server: filepath.Join(dir, "bin", "vivarium"), runsc: filepath.Join(dir, "bin", "runsc"), rootfs: filepath.Join(dir, "rootfs")}
	if err := run(ctx, t, *opens, *keys, *files); err != nil {
		stop()
		fatal(err)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

func run(ctx context.Context, t tools, opens, keys, files int) (err error) {
	started := time.Now()
	s, err := startServer(ctx, t.server)
	if err != nil {
		return err
	}
	defer func() {
		if stopErr := s.stop(); err == nil {
			err = stopErr
		}
	}()
	c, err := signUp(ctx, s)
	if err != nil {
		return err
	}
	ws, err := c.createWorkspace(ctx, "bench")
	if err != nil {
		return err
	}
	defer c.endSession(context.WithoutCancel(ctx), ws)

	table := newTable(os.Stdout)
	for _, measure := range []func() ([]figure, error){
		func() ([]figure, error) { return memory(ctx, c, ws, s.pid()) },
		func() ([]figure, error) { return coldOpen(ctx, c, ws, t, opens) },
		func() ([]figure, error) { return echo(ctx, c, ws, t, keys) },
		func() ([]figure, error) { return saves(ctx, c, ws, files) },
		func() ([]figure, error) { return sandboxWrites(ctx, c, ws, files) },
	} {
		figures, err := measure()
		if err != nil {
			return err
		}
		for _, f := range figures {
			table.add(f)
		}
	}
	fmt.Printf("\nmeasured in %.0f s\n", time.Since(started).Seconds())
	return nil
}
