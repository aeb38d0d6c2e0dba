package pbtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// AdminOptions say what [AdminTools] may do. The zero value lets them show the
// server's state, make and restore backups, and run jobs.
type AdminOptions struct {
	// Superusers are the e-mail addresses that superusers may be created for.
	// Defaults to none: there is no pb_create_superuser.
	Superusers []string
	// Mail are the addresses that test mails may be sent to. Defaults to none: there
	// is no pb_test_email.
	Mail []string
	// Settings are those that pb_update_settings may change, as in batch.enabled.
	// Whoever sets smtp.host, meta.appURL or the endpoint of a storage gets tokens,
	// mails or files: list them with care. Defaults to none: there is no
	// pb_update_settings.
	Settings []string
	// Secrets are the passwords and keys that settings and superusers can be given,
	// by names that a caller uses in their place. Defaults to none.
	Secrets map[string]mcpsec.Secret
	// Dir is where backups are downloaded to and uploaded from. It must be open as
	// long as the tools are used. What is in a backup is everything, password hashes
	// included: serve no files from it. Defaults to none: backups stay on the server.
	Dir *os.Root
	// MaxBackup is how many bytes a backup may have that is downloaded or uploaded,
	// 1024 to 1 GiB. Defaults to 1 GiB.
	MaxBackup int64
	// Timeout is how long it may take to make, download or upload a backup, at most 1
	// hour. Defaults to 10 minutes.
	Timeout time.Duration
}

// An admin is a client with what its operator allows.
type admin struct {
	*Client
	a    AdminOptions
	slow *http.Client
}

// AdminTools returns the tools that run a server, as Options.Superuser:
// pb_list_superusers, pb_logs, pb_log_stats, pb_settings, pb_list_crons, pb_run_cron,
// pb_test_s3, pb_backup_list, pb_backup_create, pb_backup_delete and
// pb_backup_restore; with what AdminOptions list also pb_create_superuser,
// pb_update_settings, pb_test_email, pb_backup_download and pb_backup_upload.
//
// A person is asked before a superuser is made, a setting is changed, a job is run,
// and a backup is deleted or restored. Passwords, keys and tokens are neither
// arguments nor results. Of the log only what is known to be harmless is shown: no
// addresses of clients, no queries of URLs, no texts of errors. It panics if
// Options.Superuser is missing or o is wrong.
func AdminTools(c *Client, o AdminOptions) []*mcpsec.Tool {
	c.needSuperuser("AdminTools")
	m, err := newAdmin(c, o)
	if err != nil {
		panic("pbtool: AdminTools: " + err.Error())
	}
	tools := []*mcpsec.Tool{m.superusersTool(), m.logsTool(), m.logStatsTool(), m.settingsTool(), m.cronsTool(), m.runCronTool(), m.testS3Tool(), m.backupsTool(), m.backupTool(), m.deleteBackupTool(), m.restoreTool()}
	if len(o.Superusers) > 0 {
		tools = append(tools, m.createSuperuserTool())
	}
	if len(o.Settings) > 0 {
		tools = append(tools, m.updateSettingsTool())
	}
	if len(o.Mail) > 0 {
		tools = append(tools, m.testMailTool())
	}
	if o.Dir != nil {
		tools = append(tools, m.downloadTool(), m.uploadTool())
	}
	return tools
}

const maxBackup = 1 << 30 // what outbound takes

var mailAddress = lazy.Regexp(`^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,5}$`)

func newAdmin(c *Client, o AdminOptions) (*admin, error) {
	o.Superusers, o.Mail, o.Settings, o.Secrets = slices.Clone(o.Superusers), slices.Clone(o.Mail), slices.Clone(o.Settings), maps.Clone(o.Secrets)
	if o.MaxBackup == 0 {
		o.MaxBackup = maxBackup
	}
	o.Timeout = or(o.Timeout, 10*time.Minute)
	switch {
	case o.MaxBackup < 1<<10 || o.MaxBackup > maxBackup:
		return nil, errors.New("AdminOptions.MaxBackup must be 1024 to 1 GiB")
	case o.Timeout < time.Millisecond || o.Timeout > time.Hour:
		return nil, errors.New("AdminOptions.Timeout must be 1ms to 1h")
	}
	for _, m := range slices.Concat(o.Superusers, o.Mail) {
		if !mailAddress().MatchString(m) {
			return nil, errors.New("AdminOptions.Superusers and AdminOptions.Mail must be e-mail addresses")
		}
	}
	for _, s := range o.Settings {
		if settingKinds[s] == "" {
			return nil, fmt.Errorf("AdminOptions.Settings: %q is no setting that can be changed", s)
		}
	}
	for name, s := range o.Secrets {
		if !fieldName().MatchString(name) || s.IsZero() {
			return nil, errors.New("AdminOptions.Secrets must have names of letters, digits and underscores, and no empty secrets")
		}
	}
	slow := c.o
	slow.Timeout, slow.MaxBytes = o.Timeout, int(o.MaxBackup/4) // answers have four times that at most
	h, err := newHTTP(slow, -1)
	return &admin{c, o, h}, err
}

// line is an answer in words. It costs the model less context than a schema would.
func line(text string, err error) (mcpsec.Content, error) { return mcpsec.Content{Text: text}, err }

// lines are an answer with one thing a line.
func lines(items []string, more bool) (mcpsec.Content, error) {
	switch {
	case len(items) == 0:
		return line("none", nil)
	case more:
		items = append(items, "(there is more)")
	}
	return line(strings.Join(items, "\n"), nil)
}

// pageIn is for lists that are read page by page.
type pageIn struct {
	Page int `json:"page" validate:"min=0,max=1000"`
}

// secret returns one of the operator's by its name.
func (m *admin) secret(name string) (string, error) {
	s, ok := m.a.Secrets[name]
	if !ok {
		return "", denied("there is no such secret; the operator has given these names: %s", strings.Join(slices.Sorted(maps.Keys(m.a.Secrets)), ", "))
	}
	return s.Reveal(), nil
}

// asking makes a tool that asks a person about what plan says, and carries it out if
// that is still so afterwards.
func asking[In any](m *admin, spec mcpsec.ToolSpec, build func(context.Context, In) (plan, error), run func(context.Context, In) (string, error)) *mcpsec.Tool {
	return changeTool(m.Client, spec, build, func(ctx context.Context, in In, _ plan) (mcpsec.Content, error) { return line(run(ctx, in)) })
}

func (m *admin) superusersTool() *mcpsec.Tool {
	return mcpsec.NewTool(shown(m.spec("pb_list_superusers", "List PocketBase's superusers.", mcpsec.Read), ``, pageProperty), func(ctx context.Context, in pageIn) (mcpsec.Content, error) {
		v := url.Values{"perPage": {"200"}, "page": {fmt.Sprint(max(in.Page, 1))}, "sort": {"id"}, "fields": {"id,email,created"}}
		body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections", superusers, "records"}, query: v})
		if err != nil {
			return mcpsec.Content{}, err
		}
		var said struct {
			Items []struct{ ID, Email, Created string } `json:"items"`
		}
		if json.Unmarshal(body, &said) != nil {
			return mcpsec.Content{}, errAnswer
		}
		var out []string
		for _, s := range said.Items {
			out = append(out, s.ID+" "+s.Email+" since "+s.Created)
		}
		return lines(out, len(out) == 200)
	})
}

type createSuperuserIn struct {
	Email  string `json:"email" validate:"required,max=255"`
	Secret string `json:"secret" validate:"max=100"`
}

func (m *admin) createSuperuserTool() *mcpsec.Tool {
	spec := m.spec("pb_create_superuser", "Create a superuser for an address that the operator allows. secret names the operator's password; without, one is set by a mail to the address.", mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"email"`, `"email":{"type":"string"}`, `"secret":{"type":"string"}`)
	spec.Labels |= mcpsec.Egress
	return asking(m, spec, func(_ context.Context, in createSuperuserIn) (plan, error) {
		if !slices.Contains(m.a.Superusers, in.Email) {
			return plan{}, denied("no superuser may be created for this address; for these: %s", strings.Join(m.a.Superusers, ", "))
		}
		text := fmt.Sprintf("creates a SUPERUSER, who may do everything, for %s", in.Email)
		if in.Secret == "" {
			return plan{text: text + ", and mails it a link that sets the password", digest: digest([]byte(in.Email))}, nil
		}
		_, err := m.secret(in.Secret)
		return plan{text: text + " with the password " + in.Secret, digest: digest([]byte(in.Email), []byte(in.Secret))}, err
	}, m.createSuperuser)
}

func (m *admin) createSuperuser(ctx context.Context, in createSuperuserIn) (string, error) {
	password, err := absent()+absent()+absent(), error(nil) // nobody's, until the mail's link sets one
	if in.Secret != "" {
		if password, err = m.secret(in.Secret); err != nil {
			return "", err
		}
	}
	body, err := json.Marshal(map[string]any{"email": in.Email, "password": password, "passwordConfirm": password, "verified": true})
	if err != nil {
		return "", err
	}
	if _, err := m.asSuperuser(ctx, request{method: http.MethodPost, path: []string{"collections", superusers, "records"}, body: body}); err != nil {
		return "", err
	}
	if in.Secret != "" {
		return "created", nil
	}
	if body, err = json.Marshal(map[string]any{"email": in.Email}); err != nil {
		return "", err
	}
	if _, err := m.do(ctx, actor{}, request{method: http.MethodPost, path: []string{"collections", superusers, "request-password-reset"}, body: body}); err != nil {
		return "created, but PocketBase would not send a mail: nobody knows the password, and a reset can be asked for on its login page", nil
	}
	return "created; PocketBase was told to send a mail that sets the password, and does not tell whether it could", nil
}

func (m *admin) cronsTool() *mcpsec.Tool {
	return mcpsec.NewTool(m.spec("pb_list_crons", "List PocketBase's scheduled jobs.", mcpsec.Read), func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
		jobs, err := m.crons(ctx)
		if err != nil {
			return mcpsec.Content{}, err
		}
		var out []string
		for _, id := range slices.Sorted(maps.Keys(jobs)) {
			out = append(out, id+": "+jobs[id])
		}
		return lines(out, false)
	})
}

// crons are the jobs and when they run. One whose id is no name cannot be run here.
func (m *admin) crons(ctx context.Context) (map[string]string, error) {
	body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"crons"}})
	if err != nil {
		return nil, err
	}
	var said []struct{ ID, Expression string }
	if json.Unmarshal(body, &said) != nil {
		return nil, errAnswer
	}
	jobs := map[string]string{}
	for _, j := range said[:min(len(said), maxCollections)] {
		jobs[j.ID] = j.Expression
	}
	return jobs, nil
}

type cronIn struct {
	ID string `json:"id" validate:"required,max=100"`
}

func (m *admin) runCronTool() *mcpsec.Tool {
	return asking(m, shown(m.spec("pb_run_cron", "Run a scheduled job now.", mcpsec.Destroy), `"id"`, idProperty), func(ctx context.Context, in cronIn) (plan, error) {
		jobs, err := m.crons(ctx)
		if err != nil {
			return plan{}, err
		}
		when, ok := jobs[in.ID]
		if !ok || !segmentName().MatchString(in.ID) {
			return plan{}, denied("there is no such job: see pb_list_crons")
		}
		return plan{text: fmt.Sprintf("runs the job %q now, which is scheduled for %q", in.ID, when), digest: digest([]byte(in.ID), []byte(when))}, nil
	}, func(ctx context.Context, in cronIn) (string, error) {
		_, err := m.asSuperuser(ctx, request{method: http.MethodPost, path: []string{"crons", in.ID}})
		return "started; PocketBase does not tell how it ends", err
	})
}
