// Command vivarium-agent runs in every sandbox: as PID 1 (serve), as the bridge that a server starts to reach that one
// again (connect), and as the worker that tends the files with the user's rights (files).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"vivarium/internal/agent"
)

// version is set by the linker.
var version = "dev"

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vivarium-agent:", err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	log := slog.New(slog.NewTextHandler(agent.Lossy(os.Stderr), nil))
	if len(args) == 0 {
		return fmt.Errorf("usage: vivarium-agent serve | connect | files | -version")
	}
	switch args[0] {
	case "serve":
		return serve(args[1:], log)
	case "connect":
		flags := flag.NewFlagSet("connect", flag.ContinueOnError)
		socket := flags.String("socket", agent.Defaults().Socket, "abstract address of the agent's socket")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return agent.Connect(context.Background(), *socket, in, out)
	case "files":
		flags := flag.NewFlagSet("files", flag.ContinueOnError)
		root := flags.String("root", agent.Defaults().Root, "the workspace's folder")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return agent.Files(*root, log)
	case "version", "-version", "--version":
		_, err := fmt.Fprintln(out, "vivarium-agent", version)
		return err
	default:
		return fmt.Errorf("unknown command %q; there are serve, connect, files and -version", args[0])
	}
}

func serve(args []string, log *slog.Logger) error {
	o := agent.Defaults()
	o.Version, o.Log = version, log
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.StringVar(&o.Root, "root", o.Root, "the workspace's folder")
	flags.StringVar(&o.Home, "home", o.Home, "the user's home")
	flags.StringVar(&o.User, "user", o.User, "the user's name")
	flags.IntVar(&o.UID, "uid", o.UID, "the user's uid; 0 for the agent's own")
	flags.IntVar(&o.GID, "gid", o.GID, "the user's gid")
	flags.IntVar(&o.Processes, "processes", o.Processes, "most processes and threads of the user; 0 when something else limits them")
	flags.StringVar(&o.Socket, "socket", o.Socket, "abstract address of the agent's socket")
	if err := flags.Parse(args); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o.Self = self
	a, err := agent.New(o)
	if err != nil {
		return err
	}
	return a.Serve()
}
