package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"vivarium/internal/app"
)

type userCommands struct {
	Add           userAddCommand   `cmd:"" help:"Make an account. The password is asked for, or read from standard input."`
	List          userListCommand  `cmd:"" help:"Print the accounts, one a line."`
	ResetPassword userResetCommand `cmd:"" help:"Give an account another password, and end all its logins."`
}

type userAddCommand struct {
	settings
	Username string `arg:"" help:"Name of the account."`
	Admin    bool   `help:"Make it an administrator's."`
}

// Run makes the account.
func (c *userAddCommand) Run() error {
	cfg, log, err := c.complete()
	if err != nil {
		return err
	}
	password, err := readPassword(os.Stdin, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	user, err := app.AddUser(ctx, cfg, log, c.Username, password, c.Admin)
	if err != nil {
		return err
	}
	fmt.Printf("The account %s was made.\n", user.Username)
	return nil
}

type userListCommand struct{ settings }

// Run prints the name of each account, when it was made, and what is special about it.
func (c *userListCommand) Run() error {
	cfg, log, err := c.complete()
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	users, err := app.Users(ctx, cfg, log)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, u := range users {
		role := ""
		if u.Admin {
			role = "administrator"
		}
		if u.Disabled {
			role = strings.TrimSpace(role + " disabled")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", u.Username, u.CreatedAt.UTC().Format(time.DateOnly), role)
	}
	return table.Flush()
}

type userResetCommand struct {
	settings
	Username string `arg:"" help:"Name of the account."`
}

// Run replaces the password.
func (c *userResetCommand) Run() error {
	cfg, log, err := c.complete()
	if err != nil {
		return err
	}
	password, err := readPassword(os.Stdin, os.Stderr)
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	if err := app.ResetPassword(ctx, cfg, log, c.Username, password); err != nil {
		return err
	}
	fmt.Printf("%s has a new password, and all logins with the old one have ended.\n", c.Username)
	return nil
}

// readPassword asks for a password twice without showing it, or takes one line of a pipe. It is never an argument, which
// every user of the machine could see.
func readPassword(in *os.File, out io.Writer) (string, error) {
	hidden, restore, err := hideInput(in)
	if err != nil {
		return "", err
	}
	defer restore()
	lines := bufio.NewReader(in)
	read := func(prompt string) (string, error) {
		if hidden {
			fmt.Fprint(out, prompt)
			defer fmt.Fprintln(out)
		}
		line, err := lines.ReadString('\n')
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			return "", errors.New("no password was given")
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := read("Password: ")
	if err != nil || !hidden {
		return first, err
	}
	second, err := read("Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two are not the same")
	}
	return first, nil
}

// hideInput turns off a terminal's echo. It reports false for what is no terminal.
func hideInput(in *os.File) (hidden bool, restore func(), err error) {
	fd := int(in.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return false, func() {}, nil
	}
	quiet := *before
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return false, nil, err
	}
	restore = sync.OnceFunc(func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) })
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	go func() { // a terminal without echo must not be left behind
		if _, ok := <-interrupt; ok {
			restore()
			os.Exit(130)
		}
	}()
	return true, func() {
		signal.Stop(interrupt)
		close(interrupt)
		restore()
	}, nil
}
