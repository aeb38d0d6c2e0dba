package pbtool

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A finding is something in the schema that an operator should know.
type finding struct {
	Severity   string `json:"severity"` // high, medium or low
	Collection string `json:"collection"`
	What       string `json:"what"`
	Evidence   string `json:"evidence,omitempty"` // the rule, or the option
	Remedy     string `json:"remedy"`
}

const (
	high   = "high"
	medium = "medium"
	low    = "low"
)

// An audited collection is one with the options that matter for security.
type audited struct {
	schema
	MFA struct{ Enabled bool } `json:"mfa"`
	OTP struct {
		Enabled bool
		Length  int
	} `json:"otp"`
	Auth     struct{ Duration int64 } `json:"authToken"`
	File     struct{ Duration int64 } `json:"fileToken"`
	Password struct{ Enabled bool }   `json:"passwordAuth"`
	findings *[]finding
}

func (k *audited) found(severity, evidence, remedy, what string, args ...any) {
	*k.findings = append(*k.findings, finding{severity, k.Name, fmt.Sprintf(what, args...), evidence, remedy})
}

// actions are what rules are about, the most dangerous first.
var actions = []string{"delete", "update", "create", "list", "view"}

func (k *audited) judge(action string, as asker) verdict {
	rule, ok := k.ruleSet()[action]
	if !ok || *rule != nil && **rule == keptHistoryRule {
		return never
	}
	return judge(*rule, as, fieldNames(k.Fields), action == "create" || k.Type == "view")
}

func (k *audited) rule(action string) string { return shownRule(*k.ruleSet()[action]) }

// An audit is one of all collections.
type audit struct {
	all      []*audited
	visitors []asker
	findings []finding
	name     func(string) string // of a collection, as far as it may be told
}

// auditOf reads the collections and judges those that show lets through.
func auditOf(all []*table, show func(string) bool, name func(string) string) (audit, error) {
	a := audit{name: name}
	for _, t := range all {
		k := &audited{findings: &a.findings}
		if err := json.Unmarshal(t.raw, k); err != nil {
			return a, errAnswer
		}
		a.all = append(a.all, k)
		if k.Type == "auth" && !k.System {
			a.visitors = append(a.visitors, asker{k.Name, k.ID})
		}
	}
	slices.SortFunc(a.all, func(x, y *audited) int { return strings.Compare(x.Name, y.Name) })
	for _, k := range a.all {
		switch {
		case k.Name == superusers:
			k.signIn()
		case show(k.Name):
			a.judge(k)
		}
	}
	rank := map[string]int{high: 0, medium: 1, low: 2}
	slices.SortStableFunc(a.findings, func(x, y finding) int { return cmp.Compare(rank[x.Severity], rank[y.Severity]) })
	return a, nil
}

func (a *audit) judge(k *audited) {
	k.guests()
	for _, v := range a.visitors {
		k.users(v, a.name(v.collection))
	}
	if k.Type != "view" {
		k.privileged(a.visitors)
	}
	if k.Type == "auth" {
		k.manage(a.visitors)
		k.signIn()
	}
	if k.Type == "view" {
		a.view(k)
		a.viewHidden(k)
	}
	a.hidden(k)
	k.files()
}

const signedIn = `put @request.auth.id != "" && before it, in brackets what follows`

// guests are those who have not signed in: a rule that asks who they are is the
// mistake most often made, because nobody is equal to a relation that is empty.
func (k *audited) guests() {
	for _, action := range actions {
		v := k.judge(action, asker{})
		writes := action == "delete" || action == "update" || action == "create"
		switch {
		case v == never:
		case v == always && k.Type == "auth" && !writes:
			k.found(high, k.rule(action), "null, or a rule that lets users see themselves: id = @request.auth.id", "everyone, guests included, may %s all accounts: who has one can be found out, and e-mail addresses where emailVisibility is on", action)
		case v == always && k.Type == "auth" && action == "create":
			k.found(low, k.rule(action), "null, if accounts are made by operators", "anybody can sign up, and is then a signed-in user for every rule")
		case v == always && writes:
			k.found(high, k.rule(action), signedIn, "everyone, guests included, may %s any record", action)
		case v == always:
			k.found(medium, k.rule(action), "if the data is not public: "+signedIn, "everyone, guests included, may %s all records", action)
		case writes:
			k.found(medium, k.rule(action), signedIn, "guests may %s some records: those for which the rule holds for somebody without an account%s", action, k.emptiness(action))
		default:
			k.found(low, k.rule(action), "if that is not meant: "+signedIn, "guests may %s some records%s", action, k.emptiness(action))
		}
	}
}

// emptiness explains a rule that compares a field with who asks.
func (k *audited) emptiness(action string) string {
	if rule := *k.ruleSet()[action]; rule != nil && strings.Contains(*rule, "@request.auth.") {
		return ", such as those whose field is empty: PocketBase takes nobody for equal to it"
	}
	return ""
}

func (k *audited) users(v asker, of string) {
	for _, action := range actions {
		if k.judge(action, asker{}) == always || k.judge(action, v) != always {
			continue
		}
		switch {
		case action == "delete" || action == "update":
			k.found(high, k.rule(action), "compare with the record's owner, as in author = @request.auth.id", "every account of %s may %s ALL records, also those of others: that one is signed in is all that is asked", of, action)
		case k.Type == "auth" && action != "create":
			k.found(medium, k.rule(action), "id = @request.auth.id, or a condition", "every account of %s may %s all accounts: who has one can be found out", of, action)
		}
	}
}

// privilege is what fields are often called that say what somebody may do.
var privilege = lazy.Regexp(`(?i)^(is_?)?(role|roles|admin|staff|superuser|moderator|owner|verified|approved|banned|active|status|plan|tier|credits?|balance|permissions?|scopes?|level|tenant|org|organi[sz]ation|team|account)(_?id)?$`)

// privileged looks for fields that clients set as they like.
func (k *audited) privileged(visitors []asker) {
	for _, action := range []string{"create", "update"} {
		may := k.judge(action, asker{})
		for _, v := range visitors {
			may = max(may, k.judge(action, v))
		}
		rule := *k.ruleSet()[action]
		if may == never || rule == nil {
			continue
		}
		for _, f := range k.Fields {
			name := nameOf(f)
			if f["system"] == true || f["type"] == "autodate" || !privilege().MatchString(name) || strings.Contains(*rule, "@request.body."+name) {
				continue
			}
			k.found(medium, k.rule(action), "add @request.body."+name+":isset = false, or a condition on it", "who may %s a record sets its %s as they like", action, name)
		}
	}
}

func (k *audited) manage(visitors []asker) {
	if k.ManageRule == nil {
		return
	}
	severity := medium
	for _, v := range slices.Concat(visitors, []asker{{}}) {
		if k.judge("manage", v) == always {
			severity = high
		}
	}
	k.found(severity, k.rule("manage"), "null, or a rule that only administrators fulfil", "whom the manage rule lets in changes others' passwords and e-mail addresses without the old password")
}

const (
	longToken = 14 * 24 * 3600 // seconds
	longFile  = 3600
	shortOTP  = 6
	shortPass = 8
)

// signIn looks at how accounts are signed in to.
func (k *audited) signIn() {
	if !k.MFA.Enabled {
		severity := low
		if k.Name == superusers {
			severity = medium
		}
		k.found(severity, "mfa is off", "switch on OTP and MFA", "a password alone opens an account")
	}
	if k.Auth.Duration > longToken {
		k.found(medium, fmt.Sprintf("authToken lives %d hours", k.Auth.Duration/3600), "5 days or less", "a stolen token is good for long")
	}
	if k.File.Duration > longFile {
		k.found(low, fmt.Sprintf("fileToken lives %d minutes", k.File.Duration/60), "a few minutes", "a link to a protected file can be passed on for long")
	}
	if k.OTP.Enabled && k.OTP.Length < shortOTP {
		k.found(medium, fmt.Sprintf("%d digits", k.OTP.Length), "8, the default", "one-time passwords can be guessed")
	}
	if k.Name != superusers && k.AuthRule != nil && *k.AuthRule == "" {
		k.found(low, k.rule("auth"), "verified = true", "accounts whose e-mail address nobody has verified can sign in")
	}
	for _, f := range k.Fields {
		if n, _ := f["min"].(float64); nameOf(f) == "password" && n < shortPass && k.Password.Enabled {
			k.found(medium, fmt.Sprintf("password has a minimum of %v", n), "8 or more", "short passwords are taken")
		}
	}
}

var ownTables = lazy.Regexp(`(?i)\b(_superusers|_externalAuths|_otps|_mfas|_authOrigins|_params|_collections|_migrations|sqlite_\w+|tokenKey|password)\b`)

// view looks at what a view shows of other collections: its query is not held to
// their rules.
func (a *audit) view(k *audited) {
	if ownTables().MatchString(k.ViewQuery) {
		k.found(high, k.ViewQuery, "take it out of the query", "the view selects from PocketBase's own tables, or passwords or token keys")
	}
	for _, t := range a.all {
		if t == k || t.System || named(k.ViewQuery, t.Name) == 0 {
			continue
		}
		for _, v := range slices.Concat(a.visitors, []asker{{}}) {
			if k.judge("list", v) > t.judge("list", v) {
				who := "guests"
				if !v.guest() {
					who = "accounts of " + a.name(v.collection)
				}
				k.found(medium, k.rule("list"), "give the view the same rule, or fewer columns", "the view shows %s what the rules of %s do not, also hidden fields", who, a.name(t.Name))
			}
		}
	}
}

func (k *audited) files() {
	if k.judge("view", asker{}) == always {
		return
	}
	for _, f := range k.Fields {
		if f["type"] == "file" && f["protected"] != true {
			k.found(medium, nameOf(f)+" is not protected", "protected: true", "files are given to anybody who knows or guesses their address, though the view rule does not let everyone in")
		}
	}
}

// access says in words what an asker may do.
func (k *audited) access(as asker) string {
	var parts []string
	for _, action := range []string{"list", "view", "create", "update", "delete"} {
		switch k.judge(action, as) {
		case always:
			parts = append(parts, action+" all")
		case sometimes:
			parts = append(parts, action+" some")
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

type auditIn struct {
	Collection string `json:"collection" validate:"max=100"`
}

type auditOut struct {
	Findings []finding                    `json:"findings"`
	Access   map[string]map[string]string `json:"access"` // by collection and auth collection
	Untold   []string                     `json:"cannot_be_told"`
}

const maxFindings = 200

func auditTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_audit_rules", "Security review of collections: what guests and each auth collection's accounts may do, and findings with severity, evidence and remedy. some: depends on the record or request.", mcpsec.Read)
	spec.InputSchema, spec.Narrow = schemaOf(``, collectionProperty), "name a collection"
	return mcpsec.NewTool(spec, func(ctx context.Context, in auditIn) (mcpsec.Content, error) {
		if in.Collection != "" {
			if _, err := c.collection(in.Collection); err != nil {
				return mcpsec.Content{}, err
			}
		}
		all, _, err := c.everything(ctx)
		if err != nil {
			return mcpsec.Content{}, err
		}
		show := func(name string) bool {
			_, err := c.collection(name)
			return err == nil && !isSystem(name) && (in.Collection == "" || in.Collection == name)
		}
		a, err := auditOf(all, show, c.shownName)
		if err != nil {
			return mcpsec.Content{}, err
		}
		out := auditOut{Findings: a.findings[:min(len(a.findings), maxFindings)], Access: map[string]map[string]string{}, Untold: a.untold(show)}
		for _, k := range a.all {
			if !show(k.Name) {
				continue
			}
			out.Access[k.Name] = map[string]string{"guests": k.access(asker{})}
			for _, v := range a.visitors {
				out.Access[k.Name][c.shownName(v.collection)] = k.access(v)
			}
		}
		raw, err := json.Marshal(out)
		return line(string(raw), err)
	})
}
