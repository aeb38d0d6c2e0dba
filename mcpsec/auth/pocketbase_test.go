package auth_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

const pbURL = "https://pb.example.com"

func pbToken(members ...any) string {
	return signed([]byte("whatever"), object{"alg": "HS256", "typ": "JWT"},
		with(object{"type": "auth", "id": "u00000000000001", "collectionId": "_pb_users_auth_", "exp": time.Now().Add(time.Hour).Unix(), "refreshable": true}, members...))
}

func record(members ...any) object {
	return object{"record": with(object{"id": "u00000000000001", "collectionId": "_pb_users_auth_", "collectionName": "users", "role": "clerk"}, members...)}
}

func pocketBase(t *testing.T, s *server) mcpsec.TokenVerifier {
	t.Helper()
	v, err := auth.PocketBase(auth.PocketBaseOptions{URL: pbURL + "/", Collection: "users", Client: s.client(),
		Scopes: func(record map[string]any) []string {
			if record["role"] == "clerk" {
				return []string{"orders:read"}
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPocketBaseAllows(t *testing.T) {
	t.Parallel()
	bubble(t, "a user", func(t *testing.T) {
		s, token := &server{}, pbToken()
		s.answer(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+token || strings.Contains(r.URL.String(), token) {
				t.Errorf("got %v", r.Header)
			}
			says(record())(w, r)
		})
		v := pocketBase(t, s)
		p := allow(t, v, token)
		if p.ID != pbURL+"|users/u00000000000001" || !slices.Equal(p.Scopes, []string{"orders:read"}) {
			t.Errorf("got %+v", p)
		}
		allow(t, v, token)
		if want := []string{"POST " + pbURL + "/api/collections/users/auth-refresh?fields=record"}; !slices.Equal(s.hits, want) {
			t.Errorf("asked %q, want %q", s.hits, want)
		}
	})
	bubble(t, "not past the expiry", func(t *testing.T) {
		s := &server{handler: says(record())}
		v, token := pocketBase(t, s), pbToken("exp", time.Now().Add(10*time.Second).Unix())
		allow(t, v, token)
		time.Sleep(10 * time.Second)
		deny(t, v, token, "expired")
		if s.count() != 1 {
			t.Errorf("asked %d times, want 1", s.count())
		}
	})
	bubble(t, "scopes that change later", func(t *testing.T) {
		shared := []string{"orders:read"}
		v, err := auth.PocketBase(auth.PocketBaseOptions{URL: pbURL, Collection: "users", Client: (&server{handler: says(record())}).client(),
			Scopes: func(map[string]any) []string { return shared }})
		if err != nil {
			t.Fatal(err)
		}
		token := pbToken()
		allow(t, v, token)
		shared[0] = "root"
		if p := allow(t, v, token); !slices.Equal(p.Scopes, []string{"orders:read"}) {
			t.Errorf("got %q", p.Scopes)
		}
	})
	bubble(t, "no scopes", func(t *testing.T) {
		if p := allow(t, pocketBase(t, &server{handler: says(record("role", "guest"))}), pbToken()); p.Scopes != nil {
			t.Errorf("got %q", p.Scopes)
		}
	})
}

func TestPocketBaseDenies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token   func() string
		handler http.HandlerFunc
		reason  string
		asked   int
	}{
		"refused":        {func() string { return pbToken() }, fails(http.StatusUnauthorized), "does not take it", 1},
		"not of it":      {func() string { return pbToken() }, fails(http.StatusForbidden), "does not take it", 1},
		"expired":        {func() string { return pbToken("exp", time.Now().Unix()) }, says(record()), "expired", 0},
		"no expiry":      {func() string { return pbToken("exp", nil) }, says(record()), "expired", 0},
		"file token":     {func() string { return pbToken("type", "file") }, says(record()), "not a user's token", 0},
		"password reset": {func() string { return pbToken("type", "passwordReset") }, says(record()), "not a user's token", 0},
		"no type":        {func() string { return pbToken("type", nil) }, says(record()), "not a user's token", 0},
		"not a JWT":      {func() string { return opaque }, says(record()), "not a user's token", 0},
		"expiry twice": {func() string {
			return encode([]byte(`{}`)) + "." + encode([]byte(`{"type":"auth","exp":1,"exp":4102444800}`)) + ".x"
		}, says(record()), "not a user's token", 0},
	} {
		bubble(t, name, func(t *testing.T) {
			s := &server{handler: tc.handler}
			deny(t, pocketBase(t, s), tc.token(), tc.reason)
			if s.count() != tc.asked {
				t.Errorf("asked %d times, want %d", s.count(), tc.asked)
			}
		})
	}
}

func TestPocketBaseCannotTell(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		why     string
	}{
		"down":               {breaks(errors.New("hunter2")), "connection failed"},
		"no such collection": {fails(http.StatusNotFound), "status 404"},
		"rate limited":       {fails(http.StatusTooManyRequests), "status 429"},
		"redirect":           {fails(http.StatusFound), "status 302"},
		"nothing":            {says("{}"), "not the JSON"},
		"not JSON":           {says("hunter2"), "not the JSON"},
		"another collection": {says(record("collectionName", "_superusers")), "not the JSON"},
		"no collection":      {says(record("collectionName", nil)), "not the JSON"},
		"no id":              {says(record("id", nil)), "not the JSON"},
		"an id with a slash": {says(record("id", "a/b")), "not the JSON"},
		"an id that is long": {says(record("id", strings.Repeat("a", 65))), "not the JSON"},
		"record twice":       {says(`{"record":{},"record":{"id":"x","collectionName":"users"}}`), "not the JSON"},
	} {
		bubble(t, name, func(t *testing.T) {
			puzzled(t, pocketBase(t, &server{handler: tc.handler}), pbToken(), tc.why)
		})
	}
	bubble(t, "panicking Scopes", func(t *testing.T) {
		v, err := auth.PocketBase(auth.PocketBaseOptions{URL: pbURL, Collection: "users", Client: (&server{handler: says(record())}).client(),
			Scopes: func(map[string]any) []string { panic("hunter2") }})
		if err != nil {
			t.Fatal(err)
		}
		puzzled(t, v, pbToken(), "panicked")
	})
}

func TestPocketBaseRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ url, collection, want string }{
		"superusers":    {pbURL, "_superusers", "superusers' tokens are not for callers"},
		"no collection": {pbURL, "", "Collection must be"},
		"path":          {pbURL, "../settings", "Collection must be"},
		"no URL":        {"", "users", "URL is required"},
		"plain URL":     {"http://pb.example.com", "users", "https"},
	} {
		if v, err := auth.PocketBase(auth.PocketBaseOptions{URL: tc.url, Collection: tc.collection}); v != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, tc.want)
		}
	}
}
