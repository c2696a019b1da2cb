package workspace

import (
	"context"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
)

// Config is what a Service works with. Every field must be set.
type Config struct {
	Store  Store
	Keys   *Keys
	Limits Limits
	Log    *slog.Logger
}

// DefaultLimits are what an installation allows unless it is configured otherwise.
func DefaultLimits() Limits {
	return Limits{FileBytes: 64 << 20, WorkspaceBytes: 1 << 30, Items: 20_000, Workspaces: 100}
}

// Service is what people and sessions do with workspaces. It keeps nothing in memory but who watches.
type Service struct {
	cfg       Config
	templates []template
	locks     locks
	watchers  watchers
}

// New returns a Service.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, templates: loadTemplates()}
}

// Limits returns what the installation allows.
func (s *Service) Limits() Limits { return s.cfg.Limits }

// How many workspaces a page of a list has.
const (
	defaultPage = 50
	maxPage     = 200
)

// MaxNameCharacters is how long the name of a workspace may be.
const MaxNameCharacters = 100

// Create makes a workspace with the files of a template; an empty template means "blank". Invalid on "name" or "template",
// Exhausted when the owner has as many as is allowed.
func (s *Service) Create(ctx context.Context, p auth.Principal, name, template string) (Workspace, error) {
	if p.Anonymous() {
		return Workspace{}, errLogin()
	}
	name, err := cleanName(name)
	if err != nil {
		return Workspace{}, err
	}
	from, err := s.template(template)
	if err != nil {
		return Workspace{}, err
	}
	changes, blobs, err := s.prepare(ctx, from.changes())
	if err != nil {
		return Workspace{}, err
	}
	return s.cfg.Store.CreateWorkspace(ctx, p.UserID, name, changes, blobs, s.cfg.Limits)
}

// Get returns a workspace that the principal may use, and NotFound for all others, whether they exist or not. It is the one
// check of rights; every method that takes a principal and a workspace begins with it.
func (s *Service) Get(ctx context.Context, p auth.Principal, ws uuid.UUID) (Workspace, error) {
	if p.Anonymous() {
		return Workspace{}, errLogin()
	}
	w, err := s.cfg.Store.Workspace(ctx, ws)
	if fault.Is(err, fault.NotFound) || err == nil && w.OwnerID != p.UserID {
		return Workspace{}, fault.New(fault.NotFound, "There is no such workspace.")
	}
	return w, err
}

// List returns a page of the principal's workspaces, the last changed first, and the cursor of the next, empty after the last.
// A limit below 1 means 50; at most 200 are returned.
func (s *Service) List(ctx context.Context, p auth.Principal, after string, limit int) ([]Workspace, string, error) {
	if p.Anonymous() {
		return nil, "", errLogin()
	}
	if limit < 1 {
		limit = defaultPage
	}
	return s.cfg.Store.Workspaces(ctx, ListQuery{Owner: p.UserID, After: after, Limit: min(limit, maxPage)})
}

// Rename gives a workspace another name. Invalid on "name".
func (s *Service) Rename(ctx context.Context, p auth.Principal, ws uuid.UUID, name string) (Workspace, error) {
	name, err := cleanName(name)
	if err != nil {
		return Workspace{}, err
	}
	if _, err := s.Get(ctx, p, ws); err != nil {
		return Workspace{}, err
	}
	var renamed Workspace
	err = s.exclusively(ctx, ws, func() ([]Event, error) {
		var err error
		renamed, err = s.cfg.Store.RenameWorkspace(ctx, ws, name, p.UserID)
		if err != nil {
			return nil, err
		}
		shown := renamed
		return []Event{{Workspace: &shown, By: Author{UserID: p.UserID}}}, nil
	})
	return renamed, err
}

// Delete removes a workspace with all its files. Its session must have been discarded before.
func (s *Service) Delete(ctx context.Context, p auth.Principal, ws uuid.UUID) error {
	if _, err := s.Get(ctx, p, ws); err != nil {
		return err
	}
	return s.exclusively(ctx, ws, func() ([]Event, error) {
		if err := s.cfg.Store.DeleteWorkspace(ctx, ws, p.UserID); err != nil {
			return nil, err
		}
		return []Event{{Gone: true, By: Author{UserID: p.UserID}}}, nil
	})
}

// exclusively does something that changes the workspace while nobody else on this server does, and tells the watchers of the
// events that it returns, also beside an error, before it lets go: so they hear of changes in the order of the commits.
func (s *Service) exclusively(ctx context.Context, ws uuid.UUID, change func() ([]Event, error)) error {
	unlock, err := s.locks.lock(ctx, ws)
	if err != nil {
		return err
	}
	defer unlock()
	events, err := change()
	for _, e := range events {
		s.watchers.publish(ws, e)
	}
	if err != nil {
		// A commit whose answer was lost may have happened all the same.
		switch fault.KindOf(err) {
		case fault.Internal, fault.Unavailable, fault.Timeout:
			s.watchers.publish(ws, Event{Lost: true})
		}
	}
	return err
}

// cleanName decides what the name of a workspace may be: 1 to 100 characters of UTF-8, none of which is a control character or
// changes the direction of text, with at least one visible. Spaces around it are dropped.
func cleanName(name string) (string, error) {
	invalid := func(message string) (string, error) {
		return "", fault.New(fault.Invalid, "%s", message).On("name")
	}
	if len(name) > 64*MaxNameCharacters {
		return invalid("A name may have at most 100 characters.")
	}
	if !utf8.ValidString(name) {
		return invalid("A name must be UTF-8.")
	}
	name = norm.NFC.String(strings.TrimSpace(name))
	if name == "" {
		return invalid("A workspace needs a name.")
	}
	for _, r := range name {
		if why := forbidden(r); why != "" {
			return invalid("A name must not contain " + why + ".")
		}
	}
	switch {
	case utf8.RuneCountInString(name) > MaxNameCharacters:
		return invalid("A name may have at most 100 characters.")
	case !strings.ContainsFunc(name, visible):
		return invalid("A name must have a visible character.")
	}
	return name, nil
}

func errLogin() error { return fault.New(fault.Unauthenticated, "Log in first.") }
