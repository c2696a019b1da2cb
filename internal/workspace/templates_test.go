package workspace

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"vivarium/internal/fault"
)

func TestEachTemplateHasWordsAndFilesThatAWorkspaceTakes(t *testing.T) {
	s := New(Config{Limits: DefaultLimits()})
	var ids []string
	for _, one := range s.Templates() {
		ids = append(ids, one.ID)
		if one.Name == "" || one.Description == "" {
			t.Errorf("%s has no name or description", one.ID)
		}
		from, err := s.template(one.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(from.changes()) == 0 {
			t.Errorf("%s has no files", one.ID)
		}
		for _, c := range from.changes() {
			if err := validateChange(&c.Change); err != nil {
				t.Errorf("%s: %s: %v", one.ID, c.Path, err)
			}
			if bytes.Contains(c.Content, []byte("\r")) || !bytes.HasSuffix(c.Content, []byte("\n")) {
				t.Errorf("%s: %s has odd line ends", one.ID, c.Path)
			}
		}
	}
	if !slices.Equal(ids, []string{"blank", "data-analysis"}) {
		t.Errorf("want blank and data-analysis, got %v", ids)
	}
	if one, err := s.template(""); err != nil || one.ID != "blank" {
		t.Errorf("want blank by default, got %s, %v", one.ID, err)
	}
	if _, err := s.template("../blank"); !fault.Is(err, fault.Invalid) {
		t.Errorf("want Invalid for a template that does not exist, got %v", err)
	}
}

func TestTheSalesAreWholeRowsOfOneYear(t *testing.T) {
	one, err := New(Config{}).template("data-analysis")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(one.files["data/sales.csv"])).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) < 400 || !slices.Equal(rows[0], []string{"date", "region", "product", "units", "unit_price"}) {
		t.Fatalf("got %d rows, the first %v", len(rows), rows[0])
	}
	if !slices.IsSortedFunc(rows[1:], func(a, b []string) int { return strings.Compare(a[0], b[0]) }) {
		t.Error("the dates are not in order")
	}
}
