package httpapi

import (
	"strings"
	"testing"
)

func TestF2_JSONThatWouldBeReadAsSomethingElseIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		err  error
	}{
		"plain":                         {`{"name":"x"}`, nil},
		"escapes and a surrogate pair":  {`{"name":"\"\\\/\u00e9\ud83d\ude00"}`, nil},
		"an escaped backslash before u": {`{"name":"\\ud800"}`, nil},
		"the same name in two objects":  {`[{"name":1},{"name":2}]`, nil},
		"a raw byte 0xff":               {"{\"name\":\"\xff\"}", errJSONUTF8},
		"an overlong form":              {"{\"name\":\"\xc0\xaf\"}", errJSONUTF8},
		"a high surrogate alone":        {`{"name":"\ud800"}`, errJSONSurrogate},
		"a high surrogate and a letter": {`{"name":"\ud800a"}`, errJSONSurrogate},
		"two high surrogates":           {`{"name":"\ud800\ud800"}`, errJSONSurrogate},
		"a low surrogate alone":         {`{"name":"\uDFFF"}`, errJSONSurrogate},
		"a surrogate in a name":         {`{"\ud800":1}`, errJSONSurrogate},
		"a field twice":                 {`{"name":"x","name":"y"}`, errJSONDuplicate},
		"a field twice by an escape":    {`{"name":"x","n\u0061me":"y"}`, errJSONDuplicate},
		"a field in two cases":          {`{"role":"user","Role":"admin"}`, errJSONDuplicate},
		"a field with a long s":         {`{"path":"x","pass":1,"pa\u017fs":2}`, errJSONDuplicate},
		"a field twice below":           {`{"a":[{"b":1,"B":2}]}`, errJSONDuplicate},
		"two values":                    {`{} {}`, errJSONSyntax},
		"not JSON":                      {`name=x`, errJSONSyntax},
		"nothing":                       {``, errJSONSyntax},
	} {
		if got := checkJSON([]byte(c.json)); got != c.err {
			t.Errorf("%s: want %v, got %v", name, c.err, got)
		}
	}
}

func FuzzCheckJSONNeverPanics(f *testing.F) {
	for _, seed := range []string{`{"a":"\ud83d\ude00"}`, `"\u`, `[[[[`, `{"a":1,"A":2}`, "\"\\"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) { _ = checkJSON(data) })
}

func TestZ3_FieldsThatAreNotTheCallersAreRefused(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for _, field := range []string{`"reviewer_level":4`, `"is_admin":true`, `"admin":true`, `"role":"admin"`, `"ownerId":"x"`, `"user_id":"x"`,
		`"status":"approved"`, `"createdAt":"2020-01-01T00:00:00Z"`, `"Name":"other"`, `"name":"twice"`, `"NAME":"x"`} {
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/workspaces", `{"name":"x",` + field + `}`},
			{"PATCH", "/workspaces/" + ada.workspace, `{"name":"x",` + field + `}`},
			{"POST", "/workspaces/" + ada.workspace + "/folders", `{"path":"x",` + field + `}`},
			{"POST", "/workspaces/" + ada.workspace + "/move", `{"from":"x","to":"y",` + field + `}`},
			{"POST", "/auth/register", `{"username":"mallory","password":"` + password + `",` + field + `}`},
		} {
			if got := ada.json(c.method, c.path, c.body); got.status != 422 && got.status != 400 {
				t.Errorf("%s %s with %s: want it refused, got %d", c.method, c.path, field, got.status)
			}
		}
	}
	if got := ada.json("GET", "/workspaces", ""); strings.Count(got.body, `"id"`) != 1 || !strings.Contains(got.body, "ada's workspace") {
		t.Errorf("want nothing changed, got %s", got.body)
	}
}

func TestABodyIsJSONAndOfBoundedSize(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml",
		"application/vnd.x+json", ""} {
		got := ada.do("POST", prefix+"/workspaces", `{"name":"x"}`, "Cookie", ada.cookie, "Content-Type", kind)
		want(t, "a body of type "+kind, got, 415).problem(t)
	}
	want(t, "with a charset", ada.do("POST", prefix+"/workspaces", `{"name":"x"}`, "Cookie", ada.cookie, "Content-Type", "application/json; charset=utf-8"), 201)
	want(t, "no body", ada.json("POST", "/workspaces", ""), 400).problem(t)
	long := `{"name":"` + strings.Repeat("x", maxJSONBody) + `"}`
	if p := want(t, "a long body", ada.json("POST", "/workspaces", long), 413).problem(t); !strings.Contains(p.Detail, "64 KiB") {
		t.Errorf("want the limit named, got %q", p.Detail)
	}
}
