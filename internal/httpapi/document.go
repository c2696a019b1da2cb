package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	_ "embed"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed reference.html
var referenceHTML string

// referencePage is the API's reference for people, made once from the OpenAPI document. It has no script at all.
type referencePage struct {
	html   []byte
	policy string
}

// registerDocument makes the OpenAPI document and the page from it. All operations must be registered.
func (a *API) registerDocument() error {
	doc, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		return fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	a.openapi = append(doc, '\n')
	a.page, err = newReferencePage(a.huma.OpenAPI())
	return err
}

type (
	referenceView struct {
		Title, Version, Description string
		Groups                      []referenceGroup
		Schemas                     []referenceSchema
	}
	referenceGroup struct {
		Name       string
		Operations []referenceOperation
	}
	referenceOperation struct {
		Method, Path, ID, Summary, Description string
		Public                                 bool
		Params                                 []referenceField
		Body                                   []referenceType
		Responses                              []referenceResponse
	}
	referenceResponse struct {
		Status, Description string
		Types               []referenceType
	}
	// referenceType is a media type and what it holds: a schema of the page, or words.
	referenceType  struct{ Media, Schema, Words string }
	referenceField struct {
		Name, In, Words, Schema, Doc string
		Required                     bool
	}
	referenceSchema struct {
		Name   string
		Fields []referenceField
	}
)

func newReferencePage(doc *huma.OpenAPI) (referencePage, error) {
	view := referenceView{Title: doc.Info.Title, Version: doc.Info.Version, Description: doc.Info.Description}
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op != nil {
				view.add(method, path, op)
			}
		}
	}
	for i := range view.Groups {
		slices.SortFunc(view.Groups[i].Operations, func(a, b referenceOperation) int {
			return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
		})
	}
	slices.SortFunc(view.Groups, func(a, b referenceGroup) int { return cmp.Compare(a.Name, b.Name) })
	for name, schema := range doc.Components.Schemas.Map() {
		one := referenceSchema{Name: name}
		for field, s := range schema.Properties {
			f := fieldOf(field, s)
			f.Required = slices.Contains(schema.Required, field)
			one.Fields = append(one.Fields, f)
		}
		slices.SortFunc(one.Fields, func(a, b referenceField) int { return cmp.Compare(a.Name, b.Name) })
		view.Schemas = append(view.Schemas, one)
	}
	slices.SortFunc(view.Schemas, func(a, b referenceSchema) int { return cmp.Compare(a.Name, b.Name) })

	page, err := template.New("reference").Parse(referenceHTML)
	if err != nil {
		return referencePage{}, err
	}
	var b bytes.Buffer
	if err := page.Execute(&b, view); err != nil {
		return referencePage{}, err
	}
	_, style, _ := bytes.Cut(b.Bytes(), []byte("<style>"))
	style, _, ok := bytes.Cut(style, []byte("</style>"))
	if !ok {
		return referencePage{}, fmt.Errorf("the reference page has no style")
	}
	policy := "default-src 'none'; style-src '" + scriptHash(style) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
	return referencePage{html: b.Bytes(), policy: policy}, nil
}

func (v *referenceView) add(method, path string, op *huma.Operation) {
	one := referenceOperation{Method: method, Path: prefix + path, ID: op.OperationID, Summary: op.Summary, Description: op.Description,
		Public: len(op.Security) == 0}
	for _, p := range op.Parameters {
		f := fieldOf(p.Name, p.Schema)
		f.In, f.Required, f.Doc = p.In, p.Required, cmp.Or(p.Description, f.Doc)
		one.Params = append(one.Params, f)
	}
	if op.RequestBody != nil {
		one.Body = typesOf(op.RequestBody.Content)
	}
	for status, r := range op.Responses {
		one.Responses = append(one.Responses, referenceResponse{Status: status, Description: r.Description, Types: typesOf(r.Content)})
	}
	slices.SortFunc(one.Responses, func(a, b referenceResponse) int { return cmp.Compare(a.Status, b.Status) })
	for i := range v.Groups {
		if v.Groups[i].Name == op.Tags[0] {
			v.Groups[i].Operations = append(v.Groups[i].Operations, one)
			return
		}
	}
	v.Groups = append(v.Groups, referenceGroup{Name: op.Tags[0], Operations: []referenceOperation{one}})
}

func typesOf(content map[string]*huma.MediaType) []referenceType {
	var types []referenceType
	for media, m := range content {
		t := referenceType{Media: media}
		t.Schema, t.Words = describe(m.Schema)
		types = append(types, t)
	}
	slices.SortFunc(types, func(a, b referenceType) int { return cmp.Compare(a.Media, b.Media) })
	return types
}

func fieldOf(name string, s *huma.Schema) referenceField {
	f := referenceField{Name: name}
	f.Schema, f.Words = describe(s)
	if s != nil {
		f.Doc = s.Description
	}
	return f
}

// describe returns the name of the schema that s refers to, and the rest in words.
func describe(s *huma.Schema) (schema, words string) {
	switch {
	case s == nil:
		return "", ""
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:], ""
	case s.Type == "array":
		schema, words = describe(s.Items)
		return schema, strings.TrimSpace("list of " + words)
	}
	words = s.Type
	if s.Format != "" {
		words += " (" + s.Format + ")"
	}
	if len(s.Enum) > 0 {
		all := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			all[i] = fmt.Sprint(v)
		}
		words += ": " + strings.Join(all, ", ")
	}
	return "", words
}

// put puts the page on the mux.
func (p *referencePage) put(a *API) {
	a.plain("GET /api", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", p.policy)
		_, _ = w.Write(p.html)
		return nil
	})
}
