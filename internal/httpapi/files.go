package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"vivarium/internal/auth"
	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

type treeOutput struct{ Body Tree }

type itemOutput struct{ Body Item }

type newFolderInput struct {
	WorkspaceID
	Body NewFolder
}

type moveInput struct {
	WorkspaceID
	Body Move
}

func (a *API) registerFiles() {
	register(a, route{method: "GET", path: "/workspaces/{id}/tree", id: "getTree", tag: filesTag, errors: []int{404},
		summary: "All items of a workspace, ordered by path"}, a.tree)
	register(a, route{method: "POST", path: "/workspaces/{id}/folders", id: "createFolder", tag: filesTag, status: 201,
		errors: []int{404, 409, 422}, summary: "Make a folder, with missing ones above it; succeeds when it is there"}, a.makeFolder)
	register(a, route{method: "POST", path: "/workspaces/{id}/move", id: "moveItem", tag: filesTag, errors: []int{404, 409, 422},
		summary: "Move or rename an item, with everything below it"}, a.move)

	for _, f := range []struct {
		route
		handler rawHandler
	}{
		{route{method: "GET", id: "readFile", errors: []int{404, 422}, timeout: steady,
			summary: "A file's content, as a download"}, a.readFile},
		{route{method: "PUT", id: "writeFile", errors: []int{404, 409, 413, 422, 428}, timeout: unbounded,
			summary: "Save a file: If-Match names the version that is replaced, If-None-Match: * says that it is new"}, a.writeFile},
		{route{method: "DELETE", id: "removeItem", errors: []int{404, 409, 422},
			summary: "Remove an item, a folder with everything below it"}, a.removeItem},
	} {
		f.path, f.tag = "/workspaces/{id}/files/{path}", filesTag
		a.registerRaw(f.route, "/workspaces/{id}/files/{path...}", a.describeFile(f.route), f.handler)
	}
}

func (a *API) tree(ctx context.Context, in *WorkspaceID) (*treeOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	items, err := a.cfg.Files.Tree(ctx, principalOf(ctx), id)
	if err != nil {
		return nil, err
	}
	out := &treeOutput{Tree{Items: make([]Item, len(items))}}
	for i, item := range items {
		out.Body.Items[i] = itemOf(item)
	}
	return out, nil
}

func (a *API) makeFolder(ctx context.Context, in *newFolderInput) (*itemOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	item, err := a.cfg.Files.MakeFolder(ctx, principalOf(ctx), id, in.Body.Path)
	if err != nil {
		return nil, err
	}
	return &itemOutput{itemOf(item)}, nil
}

func (a *API) move(ctx context.Context, in *moveInput) (*itemOutput, error) {
	id, err := in.workspace()
	if err != nil {
		return nil, err
	}
	item, err := a.cfg.Files.Move(ctx, principalOf(ctx), id, in.Body.From, in.Body.To)
	if err != nil {
		return nil, err
	}
	return &itemOutput{itemOf(item)}, nil
}

func itemOf(i workspace.Item) Item {
	return Item{Path: i.Path, Kind: string(i.Kind), Executable: i.Executable, Size: i.Size, Version: i.Version, Target: i.Target,
		ChangedAt: i.ChangedAt}
}

func etagOf(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// fileAddress returns the workspace and the path that a request is about. The mux has decoded the path exactly once; what it
// may be is decided by workspace.ValidatePath, in the service.
func fileAddress(r *http.Request) (uuid.UUID, string, error) {
	ws, err := parseID(r.PathValue("id"), "workspace")
	if err != nil {
		return uuid.Nil, "", err
	}
	path := r.PathValue("path")
	if path == "" {
		return uuid.Nil, "", fault.New(fault.Invalid, "A path must not be empty.").On("path")
	}
	return ws, path, nil
}

func (a *API) readFile(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	if err := onlyQuery(r.URL); err != nil {
		return err
	}
	ws, path, err := fileAddress(r)
	if err != nil {
		return err
	}
	item, err := a.cfg.Files.Stat(r.Context(), p, ws, path)
	if err != nil {
		return err
	}
	if item.Kind != workspace.File {
		return fault.New(fault.Invalid, "Only files have content; this is a %s.", item.Kind).On("path")
	}
	if noneMatch(r.Header, item.Version) {
		w.Header().Set("ETag", etagOf(item.Version))
		rawHeaders(w.Header())
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method == http.MethodHead {
		contentHeaders(w.Header(), item, nil)
		w.Header().Set("Content-Length", strconv.FormatInt(item.Size, 10))
		return nil
	}
	item, content, err := a.cfg.Files.Read(r.Context(), p, ws, path)
	if err != nil {
		return err
	}
	contentHeaders(w.Header(), item, content)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	setWriteDeadline(w, transferTime)
	_, _ = w.Write(content) // a client that goes away in the middle has nobody to be told
	return nil
}

// transferTime bounds how long the content of one file may take to or from a client.
const transferTime = 2 * time.Minute

func (a *API) writeFile(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	if err := onlyQuery(r.URL, "executable"); err != nil {
		return err
	}
	ws, path, err := fileAddress(r)
	if err != nil {
		return err
	}
	options, err := writeOptions(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), quick)
	before, err := a.cfg.Files.Stat(ctx, p, ws, path)
	cancel()
	exists := err == nil
	switch {
	case fault.Is(err, fault.NotFound):
		// The workspace itself may be what is missing: then its content must not even be read.
		ctx, cancel := context.WithTimeout(r.Context(), quick)
		_, err = a.cfg.Files.Get(ctx, p, ws)
		cancel()
		if err != nil {
			return err
		}
	case err != nil:
		return err
	case options.IfVersion != workspace.AnyVersion && options.IfVersion != before.Version:
		return &workspace.VersionConflict{Current: &before} // the same answer as after the transfer, sooner
	}
	content, done, err := a.uploads.read(w, r, a.cfg.Limits.FileBytes)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel = context.WithTimeout(r.Context(), steady)
	defer cancel()
	item, err := a.cfg.Files.Write(ctx, p, ws, path, content, options)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !exists {
		status = http.StatusCreated
	}
	w.Header().Set("ETag", etagOf(item.Version))
	return writeJSON(w, status, itemOf(item))
}

func (a *API) removeItem(w http.ResponseWriter, r *http.Request, p auth.Principal) error {
	if err := onlyQuery(r.URL); err != nil {
		return err
	}
	ws, path, err := fileAddress(r)
	if err != nil {
		return err
	}
	version := workspace.AnyVersion
	if len(r.Header.Values("If-Match")) > 0 {
		if version, err = ifMatch(r.Header); err != nil {
			return err
		}
	}
	if err := a.cfg.Files.Remove(r.Context(), p, ws, path, version); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// onlyQuery refuses query parameters that the operation does not have, so that a mistyped one is not ignored.
func onlyQuery(u *url.URL, known ...string) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return fault.New(fault.Invalid, "The query is not valid.").On("query")
	}
	allowed := set(known)
	for name, values := range query {
		if !allowed[name] {
			return fault.New(fault.Invalid, "Unknown query parameter.").On("query." + shorten(name))
		}
		if len(values) > 1 {
			return fault.New(fault.Invalid, "Give this parameter once.").On("query." + name)
		}
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
	return nil
}

// describeFile returns the operation on a file's content for the document. The content is bytes, not JSON, so huma does not
// make it.
func (a *API) describeFile(rt route) huma.Operation {
	op := rt.describe()
	schemas := a.huma.OpenAPI().Components.Schemas
	item := &huma.MediaType{Schema: schemas.Schema(typeOf[Item](), true, "Item")}
	problem := &huma.MediaType{Schema: schemas.Schema(typeOf[Problem](), true, "Problem")}
	bytes := &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
	text := &huma.Schema{Type: "string"}
	param := func(name, in, doc string, required bool) *huma.Param {
		return &huma.Param{Name: name, In: in, Description: doc, Required: required, Schema: text}
	}
	version := map[string]*huma.Param{"ETag": {Schema: text, Description: "The version, in quotes."}}
	op.Parameters = []*huma.Param{
		param("id", "path", "The workspace's id.", true),
		param("path", "path", "The path, each part percent-encoded once; the slashes between the parts stay.", true),
	}
	op.Responses = map[string]*huma.Response{}
	switch rt.method {
	case "GET":
		op.Parameters = append(op.Parameters, param("If-None-Match", "header", "A version, in quotes: 304 when it is still that.", false))
		op.Responses["200"] = &huma.Response{Description: "The content", Headers: map[string]*huma.Param{"ETag": version["ETag"],
			"X-Vivarium-Executable": {Schema: text, Description: "0 or 1."}},
			Content: map[string]*huma.MediaType{"text/plain": bytes, "application/octet-stream": bytes}}
		op.Responses["304"] = &huma.Response{Description: "Not modified"}
	case "PUT":
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": bytes}}
		op.Parameters = append(op.Parameters,
			param("If-Match", "header", "The version that is replaced, in quotes, or * for whatever is there.", false),
			param("If-None-Match", "header", "*: nothing may be there yet.", false),
			&huma.Param{Name: "executable", In: "query", Description: "0 or 1; absent: as it is, 0 for a new file.",
				Schema: &huma.Schema{Type: "string", Enum: []any{"0", "1"}}})
		op.Responses["200"] = &huma.Response{Description: "Saved", Headers: version, Content: map[string]*huma.MediaType{"application/json": item}}
		op.Responses["201"] = &huma.Response{Description: "Made", Headers: version, Content: map[string]*huma.MediaType{"application/json": item}}
	case "DELETE":
		op.Parameters = append(op.Parameters, param("If-Match", "header", "The version that must be there, in quotes.", false))
		op.Responses["204"] = &huma.Response{Description: "Removed"}
	}
	for _, status := range op.Errors {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{problemType: problem}}
	}
	return op
}
