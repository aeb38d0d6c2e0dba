package redact

import "testing"

// Names that are judged without a look at their endings are judged as by them.
func TestCommonNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"password", "Password", "PASSWORD", "passwd", "pwd", "token", "secret", "api_key", "apikey", "apiKey", "access_token",
		"refresh_token", "client_secret", "secret_key", "authorization", "Authorization", "cookie", "Cookie", "set-cookie", "Set-Cookie",
	} {
		f := fold(name)
		if got, want := common(name), f.judge(); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}
