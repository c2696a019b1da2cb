package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// apiPolicy is the Content-Security-Policy of everything that is not a page: if a browser shows it all the same, nothing in
// it runs.
const apiPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// scriptPolicy goes with scripts. It counts where one runs as a worker, which has a policy of its own.
const scriptPolicy = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

// pagePolicy is the policy of one page of the web client: scripts from this server, and the inline ones that the page was built
// with, by their hashes. Styles need 'unsafe-inline': Monaco and xterm.js make style elements and attributes as they run.
func pagePolicy(html []byte, public *url.URL) string {
	scripts := "'self'"
	for _, hash := range inlineScripts(html) {
		scripts += " '" + hash + "'"
	}
	connect := "'self'"
	if public != nil { // older Safari does not count a WebSocket as 'self'
		scheme := "ws://"
		if public.Scheme == "https" {
			scheme = "wss://"
		}
		connect += " " + scheme + public.Host
	}
	return strings.Join([]string{
		"default-src 'none'", "script-src " + scripts, "style-src 'self' 'unsafe-inline'", "font-src 'self'",
		"img-src 'self' data: blob:", "connect-src " + connect, "worker-src 'self'", "manifest-src 'self'", "base-uri 'none'",
		"form-action 'self'", "frame-ancestors 'none'", "object-src 'none'", "require-trusted-types-for 'script'",
	}, "; ")
}

// inlineScripts returns the hashes of the page's script elements that have no src, in order and each once. It reads the HTML
// that our own build makes: raw text up to the next end tag, as browsers do.
func inlineScripts(html []byte) []string {
	var hashes []string
	for {
		at := indexFold(html, "<script")
		if at < 0 {
			return hashes
		}
		html = html[at+len("<script"):]
		end := tagEnd(html)
		if end < 0 {
			return hashes
		}
		tag := html[:end]
		if len(tag) > 0 && !isSpace(tag[0]) { // another element whose name only begins so
			continue
		}
		html = html[end+1:]
		closing := indexFold(html, "</script")
		if closing < 0 {
			return hashes
		}
		if !hasAttribute(tag, "src") {
			hash := scriptHash(html[:closing])
			if !slices.Contains(hashes, hash) {
				hashes = append(hashes, hash)
			}
		}
		html = html[closing:]
	}
}

func scriptHash(script []byte) string {
	sum := sha256.Sum256(script)
	return fmt.Sprintf("sha256-%s", base64.StdEncoding.EncodeToString(sum[:]))
}

// tagEnd returns where a tag's ">" is, outside of quotes; -1 when there is none.
func tagEnd(tag []byte) int {
	var quote byte
	for i, c := range tag {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		}
	}
	return -1
}

// hasAttribute reports whether a tag has the attribute; text within quoted values does not count.
func hasAttribute(tag []byte, name string) bool {
	for i := 0; i < len(tag); {
		for i < len(tag) && (isSpace(tag[i]) || tag[i] == '/') {
			i++
		}
		begin := i
		for i < len(tag) && !isSpace(tag[i]) && tag[i] != '=' && tag[i] != '/' {
			i++
		}
		if strings.EqualFold(string(tag[begin:i]), name) {
			return true
		}
		for i < len(tag) && isSpace(tag[i]) {
			i++
		}
		if i >= len(tag) || tag[i] != '=' {
			if i == begin {
				i++
			}
			continue
		}
		i++
		for i < len(tag) && isSpace(tag[i]) {
			i++
		}
		if i < len(tag) && (tag[i] == '"' || tag[i] == '\'') {
			quote := tag[i]
			i++
			for i < len(tag) && tag[i] != quote {
				i++
			}
			i++
			continue
		}
		for i < len(tag) && !isSpace(tag[i]) {
			i++
		}
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }

func indexFold(s []byte, sub string) int {
	for i := 0; i+len(sub) <= len(s); {
		at := bytes.IndexByte(s[i:], sub[0])
		if at < 0 || i+at+len(sub) > len(s) {
			return -1
		}
		i += at
		if strings.EqualFold(string(s[i:i+len(sub)]), sub) {
			return i
		}
		i++
	}
	return -1
}
