package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// operations are all of the document, with a body that is right.
var operations = []struct{ method, path, body string }{
	{"GET", "/workspaces/{id}", ""}, {"PATCH", "/workspaces/{id}", `{"name":"mine"}`}, {"DELETE", "/workspaces/{id}", ""},
	{"GET", "/workspaces/{id}/tree", ""}, {"GET", "/workspaces/{id}/files/{path}", ""}, {"PUT", "/workspaces/{id}/files/{path}", "x"},
	{"DELETE", "/workspaces/{id}/files/{path}", ""}, {"POST", "/workspaces/{id}/folders", `{"path":"x"}`},
	{"POST", "/workspaces/{id}/move", `{"from":"main.py","to":"y"}`}, {"GET", "/workspaces/{id}/session", ""},
	{"POST", "/workspaces/{id}/session", ""}, {"DELETE", "/workspaces/{id}/session", ""}, {"POST", "/workspaces/{id}/session/restart", ""},
	{"POST", "/workspaces/{id}/terminals", `{"cols":80,"rows":24}`}, {"DELETE", "/workspaces/{id}/terminals/{tid}", ""},
	{"GET", "/workspaces/{id}/terminals/{tid}", ""}, {"GET", "/workspaces/{id}/events", ""}, {"POST", "/workspaces/{id}/run", `{"path":"main.py"}`},
}

// ownOperations concern only who asks.
var ownOperations = []struct{ method, path, body string }{
	{"GET", "/workspaces", ""}, {"POST", "/workspaces", `{"name":"x"}`}, {"GET", "/templates", ""}, {"GET", "/limits", ""}, {"GET", "/auth/me", ""},
	{"POST", "/auth/logout", ""}, {"POST", "/auth/password", `{"current":"x","next":"y"}`},
}

var publicOperations = []string{"GET /auth/options", "POST /auth/setup", "POST /auth/register", "POST /auth/login"}

func TestZ1_EveryOperationHasARow(t *testing.T) {
	doc, err := Document("test")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		}
	}
	if err := json.Unmarshal(doc, &parsed); err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, o := range operations {
		rows[o.method+" "+o.path] = true
	}
	for _, o := range ownOperations {
		rows[o.method+" "+o.path] = true
	}
	for _, o := range publicOperations {
		rows[o] = true
	}
	ids := map[string]bool{}
	found := 0
	for path, methods := range parsed.Paths {
		for method, op := range methods {
			found++
			if name := strings.ToUpper(method) + " " + path; !rows[name] {
				t.Errorf("%s has no row in the matrix of rights", name)
			}
			if ids[op.OperationID] || op.OperationID == "" {
				t.Errorf("%s %s: the operation id %q is not its own", method, path, op.OperationID)
			}
			ids[op.OperationID] = true
			for _, part := range strings.Split(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok && !hasParam(op.Parameters, strings.TrimSuffix(name, "}")) {
					t.Errorf("%s %s: %s is not described", method, path, part)
				}
			}
		}
	}
	if found != len(rows) {
		t.Errorf("want %d operations in the document, got %d", len(rows), found)
	}
}

func hasParam(params []struct{ Name, In string }, name string) bool {
	for _, p := range params {
		if p.Name == name && p.In == "path" {
			return true
		}
	}
	return false
}

// ask sends an operation about a workspace as an upgrade where it is a socket.
func (p *person) ask(cookie, method, path, body, workspace string) answer {
	p.t.Helper()
	path = strings.NewReplacer("{id}", workspace, "{path}", "main.py", "{tid}", uuid.Nil.String()).Replace(path)
	headers := []string{"Content-Type", "application/json", "If-Match", "*", "Cookie", cookie}
	if strings.HasSuffix(path, "/events") || method == "GET" && strings.Contains(path, "/terminals/") {
		headers = append(headers, "Origin", p.url, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
			"Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
	}
	return p.do(method, prefix+path, body, headers...)
}

func TestZ1_ForeignAndMissingWorkspacesLookTheSame(t *testing.T) {
	w := newWorld(t)
	ada, eve := w.person("ada"), w.person("eve")
	before := want(t, "ada's files", ada.json("GET", "/workspaces/"+ada.workspace+"/tree", ""), 200).body
	for _, o := range operations {
		foreign := want(t, o.method+" "+o.path+" of somebody else", eve.ask(eve.cookie, o.method, o.path, o.body, ada.workspace), 404)
		for _, missing := range []string{uuid.NewString(), "nonsense", strings.ToUpper(ada.workspace), "{" + ada.workspace + "}"} {
			got := eve.ask(eve.cookie, o.method, o.path, o.body, missing)
			if got.status != 404 || anonymous(t, got) != anonymous(t, foreign) {
				t.Errorf("%s %s: foreign and missing differ:\n%s\n%d %s", o.method, o.path, foreign.body, got.status, got.body)
			}
		}
	}
	if after := ada.json("GET", "/workspaces/"+ada.workspace+"/tree", "").body; after != before {
		t.Errorf("ada's files were changed: %s", after)
	}
	if w.sessions.discarded != 0 {
		t.Error("a stranger ended the session of a workspace")
	}
}

// anonymous is a problem's body without its request id.
func anonymous(t *testing.T, a answer) string {
	t.Helper()
	return strings.ReplaceAll(a.body, a.problem(t).RequestID, "")
}

func TestZ1_NobodyGetsNothing(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for _, planted := range []string{ada.cookie + "; vivarium=vl_x", "vivarium=vl_x; " + ada.cookie} {
		want(t, "a login beside another one", ada.do("GET", prefix+"/auth/me", "", "Cookie", planted), 401)
	}
	want(t, "logout", ada.json("POST", "/auth/logout", ""), 204)
	for name, cookie := range map[string]string{"no cookie": "", "another cookie": "other=x", "nonsense": "vivarium=nonsense", "a login that has ended": ada.cookie} {
		for _, o := range append(operations, ownOperations...) {
			got := ada.ask(cookie, o.method, o.path, o.body, ada.workspace)
			if got.status != 401 {
				t.Errorf("%s: %s %s: want 401, got %d", name, o.method, o.path, got.status)
				continue
			}
			got.problem(t)
		}
	}
}

func TestA4_TheCookie(t *testing.T) {
	w := newWorld(t, withScheme("https"))
	ada := w.person("ada")
	body := `{"username":"ada","password":"` + password + `"}`
	got := want(t, "login", w.do("POST", prefix+"/auth/login", body, "Content-Type", "application/json", "Cookie", ada.cookie), 200)
	cookie := got.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-vivarium=vl_", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax", "; Max-Age="} {
		if !strings.Contains(cookie, part) {
			t.Errorf("want %q in the cookie, got %q", part, cookie)
		}
	}
	if strings.Contains(cookie, "Domain") {
		t.Errorf("the cookie has a domain: %q", cookie)
	}
	if strings.Contains(got.body, "vl_") {
		t.Error("the body holds the token")
	}
	value, _, _ := strings.Cut(cookie, ";")
	want(t, "the new login works", w.do("GET", prefix+"/auth/me", "", "Cookie", value), 200)
	want(t, "the one that was there before is dead", w.do("GET", prefix+"/auth/me", "", "Cookie", ada.cookie), 401)

	token := strings.TrimPrefix(value, "__Host-vivarium=")
	want(t, "a token in a query", w.do("GET", prefix+"/auth/me?token="+token, ""), 401)
	want(t, "a token in a header", w.do("GET", prefix+"/auth/me", "", "Authorization", "Bearer "+token), 401)
	want(t, "a token in a cookie without the prefix", w.do("GET", prefix+"/auth/me", "", "Cookie", "vivarium="+token), 401)
	want(t, "credentials in a query", w.do("GET", prefix+"/auth/login?username=ada&password=x", ""), 405)
	out := want(t, "logout", w.do("POST", prefix+"/auth/logout", "", "Cookie", value), 204)
	if gone := out.header.Get("Set-Cookie"); !strings.Contains(gone, "Max-Age=0") || !strings.HasPrefix(gone, "__Host-vivarium=;") {
		t.Errorf("want the cookie taken back, got %q", gone)
	}
	want(t, "after logout", w.do("GET", prefix+"/auth/me", "", "Cookie", value), 401)
}

func TestThePasswordChangeEndsTheOtherLogins(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	body := `{"username":"ada","password":"` + password + `"}`
	other, _, _ := strings.Cut(want(t, "another device", w.do("POST", prefix+"/auth/login", body, "Content-Type", "application/json"), 200).header.Get("Set-Cookie"), ";")
	want(t, "wrong password", ada.json("POST", "/auth/password", `{"current":"wrong wrong wrong","next":"another long password"}`), 422)
	want(t, "change", ada.json("POST", "/auth/password", `{"current":"`+password+`","next":"another long password"}`), 204)
	want(t, "this login stays", ada.json("GET", "/auth/me", ""), 200)
	want(t, "the other ended", w.do("GET", prefix+"/auth/me", "", "Cookie", other), 401)
}

func TestWorkspacesAreMadeRenamedListedAndDeleted(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	made := want(t, "make", ada.json("POST", "/workspaces", `{"name":"Zoo","template":"data-analysis"}`), 201)
	var zoo Workspace
	if err := json.Unmarshal([]byte(made.body), &zoo); err != nil {
		t.Fatal(err)
	}
	want(t, "no such template", ada.json("POST", "/workspaces", `{"name":"Zoo","template":"nope"}`), 422)
	want(t, "rename", ada.json("PATCH", "/workspaces/"+zoo.ID, `{"name":"Ark"}`), 200)
	first := want(t, "first page", ada.json("GET", "/workspaces?limit=1", ""), 200)
	var page WorkspaceList
	if err := json.Unmarshal([]byte(first.body), &page); err != nil || len(page.Items) != 1 || page.Items[0].Name != "Ark" || page.Next == "" {
		t.Fatalf("want one workspace, the last changed, and a cursor, got %s", first.body)
	}
	second := want(t, "second page", ada.json("GET", "/workspaces?limit=1&after="+page.Next, ""), 200)
	if strings.Contains(second.body, "Ark") || !strings.Contains(second.body, ada.workspace) {
		t.Errorf("want the other one, got %s", second.body)
	}
	want(t, "a cursor that is none", ada.json("GET", "/workspaces?after=nonsense", ""), 422)
	want(t, "delete", ada.json("DELETE", "/workspaces/"+zoo.ID, ""), 204)
	if w.sessions.discarded == 0 {
		t.Error("want its session discarded")
	}
	want(t, "it is gone", ada.json("GET", "/workspaces/"+zoo.ID, ""), 404)
	if got := ada.json("GET", "/limits", ""); !strings.Contains(got.body, `"fileBytes":1048576`) {
		t.Errorf("want the limits, got %s", got.body)
	}
	if got := ada.json("GET", "/templates", ""); !strings.Contains(got.body, `"blank"`) {
		t.Errorf("want the templates, got %s", got.body)
	}
}
