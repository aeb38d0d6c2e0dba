package main

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// tables are a list in JSON, such as [{"Schema":"sales","Name":"invoices","Read":["id"]}],
// with the members of pgtool.Table.
type tables struct{ list []pgtool.Table }

// UnmarshalText reads the list. Names are exact, and none may be there twice.
func (t *tables) UnmarshalText(text []byte) error {
	if err := json.Unmarshal(text, &t.list, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if len(t.list) == 0 {
		return errors.New("the list is empty")
	}
	return nil
}

// Kind says what the setting has to be.
func (tables) Kind() string {
	return `JSON list of tables such as [{"Schema":"shop","Name":"orders","Read":["id"],"Insert":[],"Update":["status"],"Key":[],"Delete":false}]`
}

// masks are a list such as *.ssn=hidden,sales.customers.email=hashed, with the
// columns of pgtool.Options.Mask.
type masks struct{ byColumn map[string]pgtool.Mask }

var maskNames = map[string]pgtool.Mask{"hidden": pgtool.Hidden, "hashed": pgtool.Hashed, "partial": pgtool.Partial}

// UnmarshalText reads the list. No column may be there twice.
func (m *masks) UnmarshalText(text []byte) error {
	m.byColumn = map[string]pgtool.Mask{}
	for entry := range strings.SplitSeq(string(text), ",") {
		column, name, _ := strings.Cut(strings.TrimSpace(entry), "=")
		mask, known := maskNames[name]
		if _, twice := m.byColumn[column]; column == "" || !known || twice {
			return errors.New("an entry is not column=mask, or there twice")
		}
		m.byColumn[column] = mask
	}
	return nil
}

// Kind says what the setting has to be.
func (masks) Kind() string {
	return "list such as *.ssn=hidden,sales.customers.email=hashed,sales.customers.phone=partial"
}
