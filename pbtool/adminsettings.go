package pbtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// settingKinds are the settings that can be changed if the operator allows it, and
// what they are. All but secrets are shown; what is not here is neither.
var settingKinds = map[string]string{
	"meta.appName": "text", "meta.appURL": "text", "meta.senderName": "text", "meta.senderAddress": "text", "meta.hideControls": "bool",
	"logs.maxDays": "int", "logs.minLevel": "level", "logs.logIP": "bool", "logs.logAuthId": "bool",
	"smtp.enabled": "bool", "smtp.host": "text", "smtp.port": "int", "smtp.tls": "bool", "smtp.authMethod": "text", "smtp.localName": "text", "smtp.username": "secret", "smtp.password": "secret",
	"s3.enabled": "bool", "s3.bucket": "text", "s3.region": "text", "s3.endpoint": "text", "s3.forcePathStyle": "bool", "s3.accessKey": "secret", "s3.secret": "secret",
	"backups.cron": "text", "backups.cronMaxKeep": "int",
	"backups.s3.enabled": "bool", "backups.s3.bucket": "text", "backups.s3.region": "text", "backups.s3.endpoint": "text", "backups.s3.forcePathStyle": "bool", "backups.s3.accessKey": "secret", "backups.s3.secret": "secret",
	"batch.enabled": "bool", "batch.maxRequests": "int", "batch.timeout": "int", "batch.maxBodySize": "int",
	"rateLimits.enabled": "bool", "trustedProxy.headers": "texts", "trustedProxy.useLeftmostIP": "bool", "superuserIPs": "texts",
}

// setting returns one of the settings as PocketBase has told them.
func setting(all map[string]any, path string) (any, bool) {
	var v any = all
	for s := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[s]; !ok {
			return nil, false
		}
	}
	return v, true
}

// readSettings returns what may be shown.
func (m *admin) readSettings(ctx context.Context) (map[string]any, error) {
	body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"settings"}})
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if json.Unmarshal(body, &all) != nil {
		return nil, errAnswer
	}
	out := map[string]any{}
	for path, kind := range settingKinds {
		if v, ok := setting(all, path); ok && kind != "secret" {
			out[path] = v
		}
	}
	return out, nil
}

func (m *admin) settingsTool() *mcpsec.Tool {
	return mcpsec.NewTool(m.spec("pb_settings", "Show PocketBase's settings, without accounts, passwords and keys.", mcpsec.Read), func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
		all, err := m.readSettings(ctx)
		if err != nil {
			return mcpsec.Content{}, err
		}
		raw, err := json.Marshal(all)
		return line(string(raw), err)
	})
}

type updateSettingsIn struct {
	Set     values            `json:"set" validate:"max=50,dive,keys,max=64,endkeys" mcpsec:"any"`
	Secrets map[string]string `json:"secrets" validate:"max=20,dive,keys,max=64,endkeys,max=100"`
}

func (m *admin) updateSettingsTool() *mcpsec.Tool {
	list := slices.Sorted(slices.Values(m.a.Settings))
	spec := m.spec("pb_update_settings", "Change settings. secrets gives names of the operator's. These may be changed: "+strings.Join(list, ", "), mcpsec.Destroy)
	spec.InputSchema = schemaOf(``, `"set":{"type":"object","description":"as {\"batch.enabled\": true}"}`, `"secrets":{"type":"object","description":"as {\"smtp.password\": name}"}`)
	return asking(m, spec, m.planSettings, func(ctx context.Context, in updateSettingsIn) (string, error) {
		body, err := m.settingsBody(in)
		if err != nil {
			return "", err
		}
		_, err = m.asSuperuser(ctx, request{method: http.MethodPatch, path: []string{"settings"}, body: body})
		return "changed", err
	})
}

func (m *admin) planSettings(ctx context.Context, in updateSettingsIn) (plan, error) {
	if _, err := m.settingsBody(in); err != nil {
		return plan{}, err
	}
	now, err := m.readSettings(ctx)
	if err != nil {
		return plan{}, err
	}
	state, err := json.Marshal(now)
	if err != nil {
		return plan{}, err
	}
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(in.Set)) {
		old, err := json.Marshal(now[s])
		if err != nil {
			return plan{}, err
		}
		parts = append(parts, fmt.Sprintf("%s from %s to %s", s, shorten(old), shorten(in.Set[s])))
	}
	for _, s := range slices.Sorted(maps.Keys(in.Secrets)) {
		parts = append(parts, fmt.Sprintf("%s to the secret %s", s, in.Secrets[s]))
	}
	if in.Set["smtp.host"] != nil && in.Secrets["smtp.password"] == "" {
		parts = append(parts, "THE PASSWORD THAT THERE IS for mail is sent to that host")
	}
	asked, err := json.Marshal(in) // secrets by their names: a digest of one would tell who guesses it
	return plan{text: "sets " + strings.Join(parts, "; "), digest: digest(state, asked)}, err
}

// settingsBody is the request for a change that is allowed.
func (m *admin) settingsBody(in updateSettingsIn) ([]byte, error) {
	if len(in.Set)+len(in.Secrets) == 0 {
		return nil, badArgument(errors.New("name a setting"))
	}
	body := map[string]any{}
	put := func(path string, v any) {
		at := body
		parts := strings.Split(path, ".")
		for _, p := range parts[:len(parts)-1] {
			if _, ok := at[p]; !ok {
				at[p] = map[string]any{}
			}
			at = at[p].(map[string]any)
		}
		at[parts[len(parts)-1]] = v
	}
	for path, raw := range in.Set {
		kind, err := m.changeable(path)
		if err != nil {
			return nil, err
		}
		if kind == "secret" {
			return nil, badArgument(errors.New("accounts, passwords and keys are set by secrets, with names of the operator's"))
		}
		v, err := settingValue(kind, raw)
		if err != nil {
			return nil, badArgument(fmt.Errorf("%s %w", path, err))
		}
		put(path, v)
	}
	for path, name := range in.Secrets {
		kind, err := m.changeable(path)
		if err != nil {
			return nil, err
		}
		if kind != "secret" {
			return nil, badArgument(errors.New("a setting that is no secret is set by set"))
		}
		s, err := m.secret(name)
		if err != nil {
			return nil, err
		}
		put(path, s)
	}
	return json.Marshal(body)
}

func settingValue(kind string, raw json.RawMessage) (any, error) {
	if kind == "level" {
		kind = "number"
	}
	v, err := option(kind, raw)
	if s, ok := v.(*string); ok && len(*s) > 500 {
		return nil, errors.New("is longer than 500 bytes")
	}
	return v, err
}

func (m *admin) changeable(path string) (string, error) {
	if !slices.Contains(m.a.Settings, path) {
		return "", denied("a setting may not be changed; these may: %s", strings.Join(m.a.Settings, ", "))
	}
	return settingKinds[path], nil
}

type testMailIn struct {
	To         string `json:"to" validate:"required,max=255"`
	Template   string `json:"template" validate:"required,oneof=verification password-reset email-change otp login-alert"`
	Collection string `json:"collection" validate:"max=100"`
}

func (m *admin) testMailTool() *mcpsec.Tool {
	spec := m.spec("pb_test_email", "Send a test mail to one of: "+strings.Join(m.a.Mail, ", "), mcpsec.Write)
	spec.InputSchema = schemaOf(`"to","template"`, `"to":{"type":"string"}`, `"template":{"enum":["verification","password-reset","email-change","otp","login-alert"]}`, collectionProperty)
	spec.Labels |= mcpsec.Egress
	return mcpsec.NewTool(spec, func(ctx context.Context, in testMailIn) (mcpsec.Content, error) {
		if !slices.Contains(m.a.Mail, in.To) {
			return mcpsec.Content{}, denied("no mail may be sent to this address; to these: %s", strings.Join(m.a.Mail, ", "))
		}
		if in.Collection != "" {
			if _, err := m.collection(in.Collection); err != nil {
				return mcpsec.Content{}, err
			}
		}
		body, err := json.Marshal(map[string]string{"email": in.To, "template": in.Template, "collection": in.Collection})
		if err != nil {
			return mcpsec.Content{}, err
		}
		return m.test(ctx, "email", body, "PocketBase could not send the mail: see its settings of smtp, and its log")
	})
}

// test makes PocketBase try something, and tells that it could not, without its
// words, which quote hosts and accounts.
func (m *admin) test(ctx context.Context, what string, body []byte, failed string) (mcpsec.Content, error) {
	_, err := m.asSuperuser(ctx, request{method: http.MethodPost, path: []string{"settings", "test", what}, body: body})
	if s := statusOf(err); s != nil && s.status == http.StatusBadRequest {
		err = &mcpsec.Error{Message: failed + s.fieldList(), Rule: "pocketbase", Err: s}
	}
	return line("it works", err)
}

type testS3In struct {
	Filesystem string `json:"filesystem" validate:"required,oneof=storage backups"`
}

func (m *admin) testS3Tool() *mcpsec.Tool {
	return mcpsec.NewTool(shown(m.spec("pb_test_s3", "Test the S3 storage of files or backups: a file is written and deleted.", mcpsec.Write), `"filesystem"`, `"filesystem":{"enum":["storage","backups"]}`), func(ctx context.Context, in testS3In) (mcpsec.Content, error) {
		body, err := json.Marshal(map[string]string{"filesystem": in.Filesystem})
		if err != nil {
			return mcpsec.Content{}, err
		}
		return m.test(ctx, "s3", body, "the storage does not work, or is not switched on: see the settings")
	})
}
