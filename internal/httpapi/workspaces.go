package httpapi

import (
	"context"

	"github.com/google/uuid"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// WorkspaceID names a workspace in a path. It is parsed by the handler, so that an id that cannot exist is answered like one
// that does not. huma looks only into embedded structs whose name is exported.
type WorkspaceID struct {
	ID string `path:"id" doc:"The workspace's id."`
}

func (in WorkspaceID) workspace() (uuid.UUID, error) { return parseID(in.ID, "workspace") }

type listInput struct {
	After string `query:"after" maxLength:"200" doc:"Cursor: next of the page before."`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Workspaces in a page."`
}

type workspaceListOutput struct{ Body WorkspaceList }

type workspaceOutput struct{ Body Workspace }

type newWorkspaceInput struct{ Body NewWorkspace }

type workspaceChangeInput struct {
	WorkspaceID
	Body WorkspaceChange
}

func (a *API) registerWorkspaces() {
	const tag = "Workspaces"
	register(a, route{method: "GET", path: "/workspaces", id: "listWorkspaces", tag: tag, errors: []int{422},
		summary: "One's own workspaces, the last changed first"}, a.listWorkspaces)
	register(a, route{method: "POST", path: "/workspaces", id: "createWorkspace", tag: tag, status: 201, timeout: steady, errors: []int{422},
		summary: "Make a workspace"}, a.createWorkspace)
	register(a, route{method: "GET", path: "/workspaces/{id}", id: "getWorkspace", tag: tag, errors: []int{404}, summary: "One workspace"},
		a.getWorkspace)
	register(a, route{method: "PATCH", path: "/workspaces/{id}", id: "renameWorkspace", tag: tag, errors: []int{404, 422},
		summary: "Rename a workspace"}, a.renameWorkspace)
	register(a, route{method: "DELETE", path: "/workspaces/{id}", id: "deleteWorkspace", tag: tag, timeout: patient, errors: []int{404},
		summary: "Delete a workspace with its files, its session and its home"}, a.deleteWorkspace)
}

func (a *API) listWorkspaces(ctx context.Context, in *listInput) (*workspaceListOutput, error) {
	list, next, err := a.cfg.Files.List(ctx, principalOf(ctx), in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(list))
	for i, w := range list {
		ids[i] = w.ID
	}
	live := a.cfg.Views.Live(ids)
	out := &workspaceListOutput{WorkspaceList{Items: make([]Workspace, len(list)), Next: next}}
	for i, w := range list {
		out.Body.Items[i] = workspaceOf(w)
		if s, ok := live[w.ID]; ok {
			out.Body.Items[i].State = string(s.State)
		}
	}
	return out, nil
}

func (a *API) createWorkspace(ctx context.Context, in *newWorkspaceInput) (*workspaceOutput, error) {
	w, err := a.cfg.Files.Create(ctx, principalOf(ctx), in.Body.Name, in.Body.Template)
	if err != nil {
		return nil, err
	}
	return &workspaceOutput{workspaceOf(w)}, nil
}

func (a *API) getWorkspace(ctx context.Context, in *WorkspaceID) (*workspaceOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	w, err := a.cfg.Files.Get(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	return &workspaceOutput{a.withState(w)}, nil
}

func (a *API) renameWorkspace(ctx context.Context, in *workspaceChangeInput) (*workspaceOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	w, err := a.cfg.Files.Rename(ctx, principalOf(ctx), id, in.Body.Name)
	if err != nil {
		return nil, err
	}
	return &workspaceOutput{a.withState(w)}, nil
}

func (a *API) deleteWorkspace(ctx context.Context, in *WorkspaceID) (*struct{}, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	if _, err := a.cfg.Files.Get(ctx, principalOf(ctx), id); err != nil {
		return nil, err // Discard has no check of its own
	}
	if err := a.cfg.Sessions.Discard(ctx, id); err != nil {
		return nil, err
	}
	if err := a.cfg.Files.Delete(ctx, principalOf(ctx), id); err != nil {
		return nil, err
	}
	// A session that somebody started in between would be one of a workspace that is gone.
	if err := a.cfg.Sessions.Discard(ctx, id); err != nil {
		a.log.WarnContext(ctx, "cannot discard the session of a deleted workspace", "workspace", id, "err", err)
	}
	a.sockets.recheckWorkspace(id)
	return nil, nil
}

func (a *API) withState(w workspace.Workspace) Workspace {
	out := workspaceOf(w)
	if s, ok := a.cfg.Views.Live([]uuid.UUID{w.ID})[w.ID]; ok {
		out.State = string(s.State)
	}
	return out
}

func workspaceOf(w workspace.Workspace) Workspace {
	return Workspace{ID: w.ID.String(), Name: w.Name, CreatedAt: w.CreatedAt, ChangedAt: w.ChangedAt}
}

// parseID reads an id in its one canonical form. Any other is NotFound, the same answer as for one that does not exist.
func parseID(s, what string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s {
		return uuid.Nil, fault.New(fault.NotFound, "There is no such %s.", what)
	}
	return id, nil
}
