// Command vivarium is the server and its tools.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

func main() { os.Exit(run(os.Args[1:])) }

// run runs one command and returns its exit code: 0, 1 when it failed, 2 when it was called wrongly.
func run(args []string) int {
	var c commands
	parser, err := kong.New(&c, kong.Name("vivarium"), kong.Description("Isolated Python workspaces in the browser."), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.ShortUsageOnError())
	if err != nil {
		panic(err) // the commands' own tags are wrong
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vivarium:", err)
		return 2
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "vivarium:", err)
		return 1
	}
	return 0
}
