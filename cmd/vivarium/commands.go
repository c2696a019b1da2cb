package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"vivarium/internal/app"
	"vivarium/internal/config"
)

// commands are all that the program can do.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Serve Vivarium until it is stopped."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema up to date, and end."`
	User    userCommands   `cmd:"" help:"Make accounts and reset passwords."`
	Doctor  doctorCommand  `cmd:"" help:"Look at whether this machine has all that the server needs."`
	OpenAPI openapiCommand `cmd:"" name:"openapi" help:"Print the OpenAPI document of the HTTP API."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// settings is the configuration as a command takes it.
type settings struct {
	config.Config
}

// complete checks the configuration whole and returns it with the log that it asks for.
func (s *settings) complete() (config.Config, *slog.Logger, error) {
	if err := s.Check(); err != nil {
		return config.Config{}, nil, fmt.Errorf("the configuration is not valid:\n%w", err)
	}
	s.Complete()
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return config.Config{}, nil, err
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return s.Config, slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return s.Config, slog.New(slog.NewTextHandler(os.Stderr, options)), nil
}

// interrupted is a context that ends with the first SIGINT or SIGTERM. The second ends the program at once: sandboxes and
// the embedded database are taken over by the next start.
func interrupted() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { // for as long as the program runs
		<-signals
		cancel()
		<-signals
		os.Exit(1)
	}()
	return ctx, cancel
}

type serveCommand struct{ settings }

// Run serves until a signal or a failure.
func (c *serveCommand) Run() error {
	cfg, log, err := c.complete()
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	log.Info("starting", "version", app.Version(), "config", cfg)
	server := app.New(cfg, log, app.Options{})
	if err := server.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return errors.New("stopped while starting")
		}
		return err
	}
	if setup := server.SetupURL(); setup != "" {
		fmt.Println("Make the first account at", setup)
	} else {
		fmt.Println("Vivarium is at", server.URL())
	}
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case err = <-server.Failed():
	}
	server.Close()
	return err
}

type migrateCommand struct{ settings }

// Run migrates.
func (c *migrateCommand) Run() error {
	cfg, log, err := c.complete()
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	if err := app.Migrate(ctx, cfg, log); err != nil {
		return err
	}
	fmt.Println("The database's schema is up to date.")
	return nil
}

type doctorCommand struct{ settings }

// Run prints what was found, and fails when something is missing.
func (c *doctorCommand) Run() error {
	cfg, _, err := c.complete()
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	failed := 0
	for _, f := range app.Doctor(ctx, cfg) {
		if f.OK {
			fmt.Printf("✓ %s: %s\n", f.Name, f.Detail)
			continue
		}
		failed++
		fmt.Printf("✗ %s: %s\n  %s\n", f.Name, f.Detail, f.Remedy)
	}
	if failed > 0 {
		return fmt.Errorf("%d of the checks failed", failed)
	}
	return nil
}

type openapiCommand struct{}

// Run prints the document.
func (openapiCommand) Run() error {
	doc, err := app.OpenAPI()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(doc)
	return err
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run() error {
	fmt.Println("vivarium", app.Version())
	return nil
}
