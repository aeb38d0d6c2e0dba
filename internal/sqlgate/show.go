package sqlgate

import (
	"slices"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// DefaultSettings returns the settings that SHOW may ask for by default: those
// that tell how text, numbers and dates are read and written, and which limits
// hold. None tells a path, an address, a key or a command.
func DefaultSettings() []string {
	return []string{
		"server_version", "server_version_num", "server_encoding", "client_encoding",
		"timezone", "datestyle", "intervalstyle", "bytea_output", "extra_float_digits",
		"lc_collate", "lc_ctype", "lc_messages", "lc_monetary", "lc_numeric", "lc_time",
		"default_text_search_config", "standard_conforming_strings", "search_path",
		"default_transaction_read_only", "transaction_read_only",
		"default_transaction_isolation", "transaction_isolation",
		"statement_timeout", "lock_timeout", "transaction_timeout", "idle_in_transaction_session_timeout",
		"work_mem", "max_connections", "row_security", "block_size", "in_hot_standby",
	}
}

// checkShow checks SHOW name and its two spellings in several words.
func checkShow(tokens []sqllex.Token, settings []string) *fault {
	if settings == nil {
		settings = DefaultSettings()
	}
	if !slices.Contains(settings, settingName(tokens[1:])) {
		return &fault{noSetting, tokens[min(1, len(tokens)-1)].Pos}
	}
	return nil
}

// settingName returns the setting that the tokens name, or "".
func settingName(tokens []sqllex.Token) string {
	switch {
	case len(tokens) == 1 && (tokens[0].Kind == sqllex.Word || tokens[0].Kind == sqllex.QuotedWord):
		return tokens[0].Value
	case wordsAre(tokens, "time", "zone"):
		return "timezone"
	case wordsAre(tokens, "transaction", "isolation", "level"):
		return "transaction_isolation"
	}
	return ""
}

func wordsAre(tokens []sqllex.Token, words ...string) bool {
	return slices.EqualFunc(tokens, words, func(t sqllex.Token, w string) bool { return word(t) == w })
}
