package pbtool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// backupName is what a backup may be called that is made or uploaded; backupKey what
// there may be: those that PocketBase makes by a schedule begin with an @.
var (
	backupName = lazy.Regexp(`^[a-z0-9][a-z0-9_-]{0,100}\.zip$`)
	backupKey  = lazy.Regexp(`^@?[A-Za-z0-9][A-Za-z0-9_-]{0,200}\.zip$`)
)

type backup struct {
	Key      string `json:"key"`
	Size     int64  `json:"size"`
	Modified string `json:"modified"`
}

func (m *admin) backups(ctx context.Context) ([]backup, error) {
	body, err := m.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"backups"}})
	if err != nil {
		return nil, err
	}
	var all []backup
	if json.Unmarshal(body, &all) != nil {
		return nil, errAnswer
	}
	slices.SortFunc(all, func(a, b backup) int { return strings.Compare(b.Modified, a.Modified) })
	return all, nil
}

// backup returns one that there is.
func (m *admin) backup(ctx context.Context, key string) (backup, error) {
	all, err := m.backups(ctx)
	if err != nil {
		return backup{}, err
	}
	i := slices.IndexFunc(all, func(b backup) bool { return b.Key == key && backupKey().MatchString(key) })
	if i < 0 {
		return backup{}, denied("there is no such backup: see pb_backup_list")
	}
	return all[i], nil
}

func (m *admin) backupsTool() *mcpsec.Tool {
	return mcpsec.NewTool(m.spec("pb_backup_list", "List backups on the server, newest first: name, bytes, time.", mcpsec.Read), func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
		all, err := m.backups(ctx)
		if err != nil {
			return mcpsec.Content{}, err
		}
		var out []string
		for _, b := range all[:min(len(all), collectionsPage)] {
			out = append(out, fmt.Sprintf("%s %d %s", b.Key, b.Size, b.Modified))
		}
		return lines(out, len(all) > collectionsPage)
	})
}

type backupIn struct {
	Name string `json:"name" validate:"required,max=210"`
}

func (m *admin) newBackup(ctx context.Context, name string) error {
	if !backupName().MatchString(name) {
		return badArgument(errors.New("a backup's name has a to z, digits, dashes and underscores, and ends with .zip"))
	}
	all, err := m.backups(ctx)
	if err == nil && slices.ContainsFunc(all, func(b backup) bool { return b.Key == name }) {
		err = denied("there already is a backup of that name")
	}
	if err == nil && len(all) >= maxBackups {
		err = denied("there are %d backups: delete some first", len(all))
	}
	return err
}

// maxBackups is how many there may be for another one to be made: each is as large
// as all data.
const maxBackups = 50

const backupProperty = `"name":{"type":"string"}`

// slowly is spec for what takes as long as a backup does.
func (m *admin) slowly(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	spec := shown(m.spec(name, description, effect), `"name"`, backupProperty)
	spec.Timeout = m.a.Timeout + 2*m.o.Timeout
	return spec
}

func (m *admin) backupTool() *mcpsec.Tool {
	spec := m.slowly("pb_backup_create", "Make a backup of all data on the server, as name.zip. Writes wait meanwhile.", mcpsec.Write)
	return mcpsec.NewTool(spec, func(ctx context.Context, in backupIn) (mcpsec.Content, error) {
		if err := m.newBackup(ctx, in.Name); err != nil {
			return mcpsec.Content{}, err
		}
		body, err := json.Marshal(map[string]string{"name": in.Name})
		if err != nil {
			return mcpsec.Content{}, err
		}
		mcpsec.Progress(ctx, 0, 1, "PocketBase makes the backup")
		if _, err := m.transfer(ctx, request{method: http.MethodPost, path: []string{"backups"}, mime: "application/json"}, strings.NewReader(string(body)), io.Discard); err != nil {
			return mcpsec.Content{}, err
		}
		return line("made "+in.Name, nil)
	})
}

// transfer makes a request as the superuser that may be long, without holding it in
// memory.
func (m *admin) transfer(ctx context.Context, rq request, body io.Reader, into io.Writer) (int64, error) {
	to, err := m.target(rq)
	if err != nil {
		return 0, err
	}
	as, err := m.superuser()
	if err != nil {
		return 0, err
	}
	token, err := as.token(ctx)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, rq.method, to, body)
	if err != nil {
		return 0, errors.New("making a request")
	}
	req.Header.Set("Authorization", token)
	if rq.mime != "" {
		req.Header.Set("Content-Type", rq.mime)
	}
	resp, err := m.slow.Do(req)
	if err != nil {
		return 0, sendError(ctx, rq.method, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode >= 300 {
		said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		if err != nil {
			return 0, sendError(ctx, rq.method, err)
		}
		return 0, modelError(readError(resp.StatusCode, said))
	}
	n, err := io.Copy(into, resp.Body)
	if err != nil {
		return n, sendError(ctx, rq.method, err)
	}
	return n, nil
}

// A meter tells how far a transfer is.
type meter struct {
	ctx         context.Context
	done, total int64
	most        int64
}

func (m *meter) Write(p []byte) (int, error) {
	if m.done += int64(len(p)); m.done > m.most {
		return 0, errTooLarge
	}
	mcpsec.Progress(m.ctx, float64(m.done), float64(max(m.total, m.done)), "")
	return len(p), nil
}

var errTooLarge = &mcpsec.Error{Message: "the backup is larger than AdminOptions.MaxBackup", Rule: "size"}

func (m *admin) downloadTool() *mcpsec.Tool {
	spec := m.slowly("pb_backup_download", "Store a backup in the operator's directory, under its name.", mcpsec.Write)
	return mcpsec.NewTool(spec, func(ctx context.Context, in backupIn) (mcpsec.Content, error) {
		b, err := m.backup(ctx, in.Name)
		if err != nil {
			return mcpsec.Content{}, err
		}
		if b.Size > m.a.MaxBackup {
			return mcpsec.Content{}, errTooLarge
		}
		// A token for files lives some minutes. It is in the request's URL and nowhere else.
		body, err := m.asSuperuser(ctx, request{method: http.MethodPost, path: []string{"files", "token"}})
		if err != nil {
			return mcpsec.Content{}, err
		}
		var said struct {
			Token string `json:"token"`
		}
		if json.Unmarshal(body, &said) != nil || said.Token == "" {
			return mcpsec.Content{}, errAnswer
		}
		return m.download(ctx, b, request{method: http.MethodGet, path: []string{"backups", b.Key}, query: url.Values{"token": {said.Token}}})
	})
}

// download writes a file under another name until it is complete, and overwrites
// none.
func (m *admin) download(ctx context.Context, b backup, rq request) (out mcpsec.Content, err error) {
	if _, err := m.a.Dir.Lstat(b.Key); !errors.Is(err, fs.ErrNotExist) {
		return out, denied("there already is a file of that name in the directory, or it cannot be read")
	}
	part := b.Key + "." + absent() + ".part"
	f, err := m.a.Dir.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return out, fmt.Errorf("making a file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.a.Dir.Remove(part))
		}
	}()
	sum := sha256.New()
	n, err := m.transfer(ctx, rq, nil, io.MultiWriter(&meter{ctx: ctx, total: b.Size, most: m.a.MaxBackup}, f, sum))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return out, firstModelError(err)
	}
	if n != b.Size {
		return out, &mcpsec.Error{Message: "the backup was not received completely: try again", Rule: "size"}
	}
	// A link fails where there is a file, which a renaming would overwrite.
	if err := m.a.Dir.Link(part, b.Key); err != nil {
		return out, fmt.Errorf("naming the file: %w", err)
	}
	if err := m.a.Dir.Remove(part); err != nil {
		return out, fmt.Errorf("removing the part: %w", err)
	}
	return line(fmt.Sprintf("stored %s, %d bytes, SHA-256 %s", b.Key, n, hex.EncodeToString(sum.Sum(nil))), nil)
}

// firstModelError returns what a model may read of several errors.
func firstModelError(err error) error {
	var e *mcpsec.Error
	if errors.As(err, &e) {
		return e
	}
	return err
}

func (m *admin) uploadTool() *mcpsec.Tool {
	spec := m.slowly("pb_backup_upload", "Upload a backup from the operator's directory. That restores nothing.", mcpsec.Write)
	return mcpsec.NewTool(spec, func(ctx context.Context, in backupIn) (mcpsec.Content, error) {
		if err := m.newBackup(ctx, in.Name); err != nil {
			return mcpsec.Content{}, err
		}
		info, err := m.a.Dir.Lstat(in.Name)
		if err != nil || !info.Mode().IsRegular() {
			return mcpsec.Content{}, denied("there is no such file in the directory")
		}
		if info.Size() > m.a.MaxBackup {
			return mcpsec.Content{}, errTooLarge
		}
		f, err := m.a.Dir.Open(in.Name)
		if err != nil {
			return mcpsec.Content{}, fmt.Errorf("opening the backup: %w", err)
		}
		defer f.Close()
		r, w := io.Pipe()
		defer r.Close()
		form := multipart.NewWriter(w)
		go func() {
			w.CloseWithError(writeForm(form, in.Name, io.TeeReader(io.LimitReader(f, m.a.MaxBackup), &meter{ctx: ctx, total: info.Size(), most: m.a.MaxBackup})))
		}()
		if _, err := m.transfer(ctx, request{method: http.MethodPost, path: []string{"backups", "upload"}, mime: form.FormDataContentType()}, r, io.Discard); err != nil {
			return mcpsec.Content{}, err
		}
		return line("uploaded "+in.Name, nil)
	})
}

func writeForm(form *multipart.Writer, name string, from io.Reader) error {
	part, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, from); err != nil {
		return err
	}
	return form.Close()
}

// planBackup names a backup as it is, so that a yes is to that one.
func (m *admin) planBackup(text string) func(context.Context, backupIn) (plan, error) {
	return func(ctx context.Context, in backupIn) (plan, error) {
		b, err := m.backup(ctx, in.Name)
		if err != nil {
			return plan{}, err
		}
		return plan{text: fmt.Sprintf(text, b.Key, b.Size, b.Modified), digest: digest([]byte(b.Key), fmt.Append(nil, b.Size), []byte(b.Modified))}, nil
	}
}

func (m *admin) deleteBackupTool() *mcpsec.Tool {
	return asking(m, shown(m.spec("pb_backup_delete", "Delete a backup from the server.", mcpsec.Destroy), `"name"`, backupProperty), m.planBackup("deletes the backup %s of %d bytes and %s"), func(ctx context.Context, in backupIn) (string, error) {
		_, err := m.asSuperuser(ctx, request{method: http.MethodDelete, path: []string{"backups", in.Name}})
		return "deleted " + in.Name, err
	})
}

func (m *admin) restoreTool() *mcpsec.Tool {
	spec := m.slowly("pb_backup_restore", "Replace ALL data by a backup's. PocketBase restarts, and does not tell whether that went well: read some records afterwards.", mcpsec.Destroy)
	return asking(m, spec, m.planBackup("REPLACES ALL DATA, accounts and settings included, by the backup %s of %d bytes and %s: what came after it is lost, and PocketBase restarts"), func(ctx context.Context, in backupIn) (string, error) {
		if _, err := m.asSuperuser(ctx, request{method: http.MethodPost, path: []string{"backups", in.Name, "restore"}}); err != nil {
			return "", err
		}
		defer m.strangers()
		if !m.restarted(ctx) {
			return "PocketBase has taken the order; that it restarted was not seen, and a restoration that fails leaves the data as it was: compare some records", nil
		}
		return "PocketBase has restarted; whether the data is the backup's it does not tell: compare some records", nil
	})
}

const (
	restartWait = 15 * time.Second // PocketBase waits one second before it begins
	restartLook = 50 * time.Millisecond
)

// restarted reports whether the server has gone and come back.
func (m *admin) restarted(ctx context.Context) bool {
	end := time.Now().Add(restartWait)
	for gone := false; time.Now().Before(end); {
		switch alive := m.alive(ctx); {
		case !alive:
			gone = true
		case gone:
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(restartLook):
		}
	}
	return false
}

// alive asks once whether the server is there.
func (m *admin) alive(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.o.URL+"/api/health", nil)
	if err != nil {
		return false
	}
	resp, err := m.slow.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
}

// strangers forgets all tokens. After a restoration accounts may have other keys, or
// be gone, and PocketBase takes a token that is not good for none.
func (m *admin) strangers() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users = map[string]*source{}
	if m.user == nil || !m.o.User.Token.IsZero() {
		return // the superuser's is renewed when it is refused
	}
	m.user.mu.Lock()
	defer m.user.mu.Unlock()
	m.user.cur = token{}
}
