package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestB1_RequestsOfOtherSitesChangeNothing(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	const name = "csrf"
	body := `{"name":"` + name + `"}`
	denied := 0
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"the same origin", []string{"Origin", w.url, "Sec-Fetch-Site", "same-origin", "Content-Type", "application/json"}, 201},
		{"typed into the address bar", []string{"Sec-Fetch-Site", "none", "Content-Type", "application/json"}, 201},
		{"no browser", []string{"Content-Type", "application/json"}, 201},
		{"a form as text/plain", []string{"Origin", "http://evil.example", "Content-Type", "text/plain"}, 403},
		{"a form as multipart", []string{"Origin", "http://evil.example", "Content-Type", "multipart/form-data; boundary=x"}, 403},
		{"a form, urlencoded", []string{"Origin", "http://evil.example", "Content-Type", "application/x-www-form-urlencoded"}, 403},
		{"a form of an old browser", []string{"Content-Type", "text/plain"}, 415},
		{"fetch without cors", []string{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Content-Type", "text/plain"}, 403},
		{"cross-site without Origin", []string{"Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"}, 403},
		{"same-site", []string{"Sec-Fetch-Site", "same-site", "Content-Type", "application/json"}, 403},
		{"Sec-Fetch-Site made up", []string{"Sec-Fetch-Site", "friendly", "Content-Type", "application/json"}, 403},
		{"Sec-Fetch-Site twice", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Site", "cross-site", "Content-Type", "application/json"}, 403},
		{"Origin null", []string{"Origin", "null", "Content-Type", "application/json"}, 403},
		{"Origin empty", []string{"Origin", "", "Content-Type", "application/json"}, 403},
		{"Origin with another port", []string{"Origin", "http://localhost:1", "Content-Type", "application/json"}, 403},
		{"Origin with another scheme", []string{"Origin", "https://" + w.host, "Content-Type", "application/json"}, 403},
		{"two Origins", []string{"Origin", w.url, "Origin", "http://evil.example", "Content-Type", "application/json"}, 403},
	} {
		before := w.count(ada, name)
		got := want(t, c.name, ada.do("POST", prefix+"/workspaces", body, append([]string{"Cookie", ada.cookie}, c.headers...)...), c.status)
		made := w.count(ada, name) - before
		if c.status == 403 {
			denied++
		}
		if (got.status == 201) != (made == 1) {
			t.Errorf("%s: %d workspaces made", c.name, made)
		}
	}
	if n := w.audit.denials("http.origin"); n != denied {
		t.Errorf("want an audit event for each of the %d denials, got %d", denied, n)
	}

	item := want(t, "a file to lose", ada.file("PUT", "x.py", "x", "If-None-Match", "*"), 201)
	for _, c := range []struct{ method, path string }{{"DELETE", "/workspaces/" + ada.workspace}, {"PUT", "/workspaces/" + ada.workspace + "/files/x.py"},
		{"DELETE", "/workspaces/" + ada.workspace + "/files/x.py"}, {"PATCH", "/workspaces/" + ada.workspace}, {"POST", "/auth/logout"},
		{"POST", "/workspaces/" + ada.workspace + "/session"}} {
		want(t, c.method+" "+c.path, ada.json(c.method, c.path, `{}`, "Origin", "http://evil.example", "If-Match", "*"), 403)
	}
	for _, c := range []struct{ name, method, path string }{
		{"a GET that would change something", "GET", "/auth/logout"},
		{"a GET with the method in a query", "GET", "/workspaces?_method=POST"},
	} {
		if got := ada.json(c.method, c.path, ""); got.status != 405 && got.status != 422 {
			t.Errorf("%s: want it refused, got %d", c.name, got.status)
		}
	}
	override := ada.do("GET", prefix+"/workspaces/"+ada.workspace, "", "Cookie", ada.cookie, "X-HTTP-Method-Override", "DELETE")
	want(t, "a method override is only a GET", override, 200)
	got := want(t, "nothing was lost", ada.file("GET", "x.py", ""), 200)
	if got.header.Get("ETag") != item.header.Get("ETag") {
		t.Error("the file was changed")
	}
}

// count counts the person's workspaces of a name.
func (w *world) count(p *person, name string) int {
	w.t.Helper()
	return strings.Count(want(w.t, "list", p.json("GET", "/workspaces?limit=200", ""), 200).body, `"name":"`+name+`"`)
}

func TestB4_EveryAnswerHasItsSecurityHeaders(t *testing.T) {
	w := newWorld(t, withWeb(fstest.MapFS{"index.html": {Data: []byte("<p>hi")}, "404.html": {Data: []byte("<p>no")},
		"_next/static/a.js": {Data: []byte("1")}}))
	ada := w.person("ada")
	want(t, "a file", ada.file("PUT", "x.html", "<script>alert(1)</script>", "If-None-Match", "*"), 201)
	tag := ada.file("GET", "x.html", "").header.Get("ETag")
	cookie := []string{"Cookie", ada.cookie}
	socket := append([]string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key",
		"AAAAAAAAAAAAAAAAAAAAAA==", "Origin", "http://evil.example"}, cookie...)
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
	}{
		{"GET", "/", nil, 200}, {"GET", "/_next/static/a.js", nil, 200}, {"GET", "/nothing", nil, 404}, {"GET", "/_next/gone.js", nil, 404},
		{"GET", "/a//b", nil, 404}, {"POST", "/", nil, 405},
		{"GET", "/api", nil, 200}, {"GET", "/openapi.json", nil, 200}, {"GET", "/healthz", nil, 200}, {"GET", "/readyz", nil, 200}, {"GET", "/metrics", nil, 200},
		{"GET", "/api/", nil, 404}, {"GET", "/api/v1/nothing", nil, 404}, {"GET", "/api/v2/workspaces", nil, 404}, {"PUT", prefix + "/workspaces", nil, 405},
		{"GET", prefix + "/auth/options", nil, 200}, {"GET", prefix + "/auth/me", nil, 401}, {"GET", prefix + "/auth/me", cookie, 200},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/files/x.html", cookie, 200},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/files/x.html", append([]string{"If-None-Match", tag}, cookie...), 304},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/files/gone", cookie, 404},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/files/a/../b", cookie, 422},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/events", cookie, 426},
		{"GET", prefix + "/workspaces/" + ada.workspace + "/events", socket, 403},
		{"GET", "/", []string{"Host", "evil.example"}, 421}, {"TRACE", "/", nil, 405},
		{"POST", prefix + "/workspaces", []string{"Origin", "null"}, 403},
	} {
		name := c.method + " " + c.path
		got := want(t, name, w.do(c.method, c.path, "", c.headers...), c.status)
		policy := got.header.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, directive) {
				t.Errorf("%s: want %s in the policy, got %q", name, directive, policy)
			}
		}
		for directive := range strings.SplitSeq(policy, ";") {
			if strings.HasPrefix(strings.TrimSpace(directive), "script-src") && strings.Contains(directive, "unsafe") {
				t.Errorf("%s: %s", name, directive)
			}
		}
		for header, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": permissions, "Server": ""} {
			if got := got.header.Get(header); got != want {
				t.Errorf("%s: want %s: %q, got %q", name, header, want, got)
			}
		}
		if got.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", name)
		}
		if strings.HasPrefix(c.path, "/api/") {
			if cache := got.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") && !strings.Contains(cache, "private, no-cache") {
				t.Errorf("%s: Cache-Control is %q", name, cache)
			}
			if kind := got.header.Get("Content-Type"); strings.Contains(kind, "html") {
				t.Errorf("%s: the API answers with a page", name)
			}
			if c.status >= 400 {
				got.problem(t)
			}
		}
	}
}

func TestB4_UnderTLSBrowsersAreToldToStay(t *testing.T) {
	w := newWorld(t, withScheme("https"))
	if got := w.do("GET", "/healthz", "").header.Get("Strict-Transport-Security"); got == "" {
		t.Error("want Strict-Transport-Security")
	}
}

func TestB5_OtherHostsAndMalformedRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	get := func(extra string) string {
		return "GET /api/v1/auth/options HTTP/1.1\r\n" + extra + "Connection: close\r\n\r\n"
	}
	host := "Host: " + w.host + "\r\n"
	for _, c := range []struct {
		name, request string
		status        []int
	}{
		{"as it should be", get(host), []int{200}},
		{"another host", get("Host: evil.example\r\n"), []int{421}},
		{"another port", get("Host: localhost:1\r\n"), []int{421}},
		{"a trailing dot", get("Host: localhost.:" + strings.Split(w.host, ":")[1] + "\r\n"), []int{421}},
		{"a path that looks like a host", strings.Replace(get(host), "/api/v1/auth/options", "//evil.example/x", 1), []int{404}},
		{"no host", get(""), []int{400, 421}},
		{"two hosts", get(host + "Host: evil.example\r\n"), []int{400}},
		{"a forwarded host changes nothing", get("Host: evil.example\r\nX-Forwarded-Host: " + w.host + "\r\n"), []int{421}},
		{"an absolute URI", "GET http://evil.example/ HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", []int{421}},
		{"an absolute URI of ours", "GET http://" + w.host + "/ HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", []int{421}},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", []int{400, 405}},
		{"TRACE", "TRACE / HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", []int{405}},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n", []int{200, 421}},
		{"two lengths", "POST /api/v1/auth/login HTTP/1.1\r\n" + host + "Content-Length: 2\r\nContent-Length: 3\r\nConnection: close\r\n\r\n{}", []int{400}},
		{"length and chunks", "POST /api/v1/auth/login HTTP/1.1\r\n" + host +
			"Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", []int{400, 415}},
	} {
		got, body := w.raw(c.request)
		ok := false
		for _, status := range c.status {
			ok = ok || got == status
		}
		if !ok {
			t.Errorf("%s: want one of %v, got %d %s", c.name, c.status, got, body)
		}
		if strings.Contains(body, "evil") {
			t.Errorf("%s: the answer repeats the host: %s", c.name, body)
		}
	}
	want(t, "probes may come by address", w.do("GET", "/healthz", "", "Host", "10.0.0.7:8080"), 200)
}

// raw sends bytes and returns the status of the answer, with its body.
func (w *world) raw(request string) (int, string) {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.Replace(w.host, "localhost", "127.0.0.1", 1))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		w.t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		w.t.Fatalf("%q: %v", request, err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

func TestB5_ForwardedAddressesAreBelievedOfTrustedProxiesOnly(t *testing.T) {
	proxies := newWorld(t).api
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"a stranger names another", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9"},
		{"a proxy names the client", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"the client had named another", "10.0.0.1:1", []string{"127.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"in two headers", "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"nonsense", "10.0.0.1:1", []string{"<script>"}, "10.0.0.1"},
		{"nothing", "10.0.0.1:1", nil, "10.0.0.1"},
		{"IPv4 in IPv6", "[::ffff:203.0.113.9]:1", nil, "203.0.113.9"},
	} {
		api := *proxies
		api.cfg.TrustedProxies = prefixes("10.0.0.0/8")
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := api.clientAddress(r); got != c.want {
			t.Errorf("%s: want %s, got %s", c.name, c.want, got)
		}
	}
}

func TestNothingThatIsSecretIsLogged(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	want(t, "login", w.do("POST", prefix+"/auth/login", `{"username":"ada","password":"`+password+`"}`, "Content-Type", "application/json"), 200)
	want(t, "wrong login", w.do("POST", prefix+"/auth/login", `{"username":"ada","password":"wrong `+password+`"}`, "Content-Type", "application/json"), 401)
	ada.file("PUT", "secret-name", "secret-content", "If-None-Match", "*")
	ada.json("GET", "/workspaces?after=secret-query", "")
	log := w.log.String()
	for _, secret := range []string{password, "secret", strings.TrimPrefix(ada.cookie, "vivarium=")} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(log, "route=/api/v1/auth/login status=401") {
		t.Errorf("want requests in the log")
	}
	if n := w.audit.denials("auth.login"); n != 1 {
		t.Errorf("want one audit event for the failed login, got %d", n)
	}
}

func TestMetricsAreForThisMachineAndAdministrators(t *testing.T) {
	w := newWorld(t)
	ada := w.person("ada")
	want(t, "something to measure", w.do("GET", "/healthz", ""), 200)
	got := want(t, "from this machine", w.do("GET", "/metrics", ""), 200)
	for _, name := range []string{"vivarium_http_request_duration_seconds", "vivarium_sessions_live", "go_goroutines", "process_open_fds"} {
		if !strings.Contains(got.body, name) {
			t.Errorf("want the metric %s", name)
		}
	}
	if strings.Contains(got.body, ada.workspace) {
		t.Error("a label holds an id")
	}
	want(t, "through a proxy on this machine", w.do("GET", "/metrics", "", "X-Forwarded-For", "203.0.113.1"), 401)
	want(t, "through a proxy, as an ordinary user", w.do("GET", "/metrics", "", "X-Forwarded-For", "203.0.113.1", "Cookie", ada.cookie), 403)
}

func TestReadyNamesWhatDoesNotWorkWithoutSayingWhy(t *testing.T) {
	w := newWorld(t)
	want(t, "ready", w.do("GET", "/readyz", ""), 200)
	w.api.cfg.Ready = []Check{{"database", failing}}
	got := want(t, "not ready", w.do("GET", "/readyz", ""), 503)
	if !strings.Contains(got.body, `{"name":"database","ok":false}`) || strings.Contains(got.body, "10.1.2.3") {
		t.Errorf("got %s", got.body)
	}
	want(t, "alive all the same", w.do("GET", "/healthz", ""), 200)
}

func TestUnknownPathsOfTheAPIAreJSON(t *testing.T) {
	w := newWorld(t)
	for path, status := range map[string]int{"/api/x": 404, "/api/v1": 404, "/api/v1/workspaces/": 404, "/api/v1//workspaces": 404,
		"/api/v1/../v1/workspaces": 404, "/api/v1/workspaces/x/nothing": 404} {
		want(t, path, w.do("GET", path, ""), status).problem(t)
	}
	got := want(t, "another method", w.do("PATCH", "/api/v1/workspaces", ""), 405)
	got.problem(t)
	if allow := got.header.Get("Allow"); allow != "GET, POST" {
		t.Errorf("want Allow: GET, POST, got %q", allow)
	}
	if log := fmt.Sprint(w.log.String()); strings.Contains(log, "level=ERROR") {
		t.Error("the log has errors")
	}
}
