package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

type holder struct{ Token Token }

func TestA4_ATokenHidesItselfFromEverythingThatPrintsIt(t *testing.T) {
	token := newToken()
	secret := strings.TrimPrefix(token.Reveal(), tokenPrefix)
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("login", "token", token, "in", struct{ T Token }{token})
	}
	asJSON, err := json.Marshal(map[string]any{"token": token, "list": []Token{token}})
	if err != nil {
		t.Fatal(err)
	}
	asXML, err := xml.Marshal(holder{token})
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{"log": log.String(), "json": string(asJSON), "xml": string(asXML), "String": token.String(),
		"GoString": token.GoString(), "Sprint": fmt.Sprint(token), "Errorf": fmt.Errorf("bad token %v", token).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %t"} {
		outputs[verb] = fmt.Sprintf(verb, token)
		outputs[verb+" in a struct"] = fmt.Sprintf(verb, struct{ T Token }{token})
	}
	for how, out := range outputs {
		if strings.Contains(out, secret) || strings.Contains(strings.ToLower(out), fmt.Sprintf("%x", secret)) {
			t.Errorf("%s shows the token: %s", how, out)
		}
	}
}

func TestA4_TokensHave256RandomBitsAndNeverRepeat(t *testing.T) {
	seen := map[Token]bool{}
	for range 1000 {
		token := newToken()
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "vl_"))
		if err != nil || len(raw) != 32 || !strings.HasPrefix(token.Reveal(), "vl_") {
			t.Fatalf("want vl_ and 32 bytes, got %d bytes, %v", len(raw), err)
		}
		if seen[token] {
			t.Fatal("a token came twice")
		}
		if !token.plausible() {
			t.Fatal("a token is not taken for one")
		}
		seen[token] = true
	}
}

func TestOnlyWhatLooksLikeATokenIsPlausible(t *testing.T) {
	good := newToken()
	for _, bad := range []Token{"", "vl_", good[3:], good + "x", good[:len(good)-1], "vs_" + good[3:]} {
		if bad.plausible() {
			t.Errorf("%d bytes are taken for a token", len(bad))
		}
	}
}
