package redact

import (
	"strings"
	"sync"
)

// token describes credentials that name themselves by a prefix: the prefix
// stays, so that a reader sees what was there, and the body goes.
type token struct {
	prefix string
	body   class
	least  int  // bytes in the shortest body
	mixed  bool // the body must hold letters and digits
}

// tokens lists them by issuer. A prefix that is also the beginning of ordinary
// words needs a long or mixed body.
var tokens = sync.OnceValue(buildTokens)

func buildTokens() (list []token) {
	add := func(body class, least int, prefixes ...string) {
		for _, p := range prefixes {
			list = append(list, token{prefix: p, body: body, least: least})
		}
	}
	addMixed := func(body class, least int, prefixes ...string) {
		for _, p := range prefixes {
			list = append(list, token{prefix: p, body: body, least: least, mixed: true})
		}
	}
	payments(add, addMixed)
	clouds(add, addMixed)
	developers(add, addMixed)
	messaging(add, addMixed)
	models(add, addMixed)
	return list
}

type adder func(body class, least int, prefixes ...string)

func payments(add, addMixed adder) {
	addMixed(alnum, 10, "sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_", "ek_live_", "ek_test_")
	addMixed(alnum, 24, "sk_sbox_")
	add(b64, 24, "whsec_", "whsk_")
	addMixed(word, 20, "_secret_") // Stripe client secrets: pi_…_secret_…
	add(b64url, 22, "sq0atp-", "sq0csp-", "sq0idp-")
	add(b64url, 50, "EAAA", "EAAB", "EAAC", "EAAG", "EAAE", "A21AA")
	add(b64url, 16, "access_token$production$", "access_token$sandbox$")
	add(alnum, 14, "rzp_live_", "rzp_test_")
	addMixed(b64url, 24, "FLWSECK_TEST-", "FLWSECK-", "shippo_live_", "shippo_test_", "duffel_live_", "duffel_test_", "Mid-server-")
	add(alnum, 40, "EZAK", "EZTK")
	addMixed(b64url, 30, "live_", "test_")
	add(hexa, 34, "ck_", "cs_", "pk_")
	addMixed(ident, 30, "access-sandbox-", "access-production-", "access-development-")
	add(word, 30, "pdl_live_apikey_", "pdl_sdbx_apikey_", "pdl_live_", "pdl_sdbx_", "polar_oat_", "polar_pat_")
}

func clouds(add, addMixed adder) {
	add(b32, 16, "AKIA", "ASIA", "ABIA", "ACCA")
	add(b64, 80, "FwoGZXIvYXdz", "IQoJb3JpZ2lu", "ABSKQmVkcm9ja0FQSUtleS")
	addMixed(ident, 30, "amzn.mws.", "amzn1.oa2-cs.v1.")
	add(b64url, 30, "AIza", "1//0", "4/0A")
	add(ident, 20, "ya29.")
	add(b64url, 20, "GOCSPX-")
	add(opaque, 31, "\x00Q~")
	add(hexa, 40, "dop_v1_", "doo_v1_", "dor_v1_")
	add(ident, 60, "v1.0-")
	add(alnum, 40, "cfut_", "cfat_")
	add(b64, 60, "eyJhIjoi") // a tunnel's {"a": …
	add(alnum, 12, "LTAI", "AKID")
	addMixed(b64, 40, "AKLT")
	addMixed(b64, 28, "K00")
	addMixed(b64url, 35, "AQVN", "y0_", "t1.")
	add(b64url, 24, "hvs.", "hvb.", "hvr.")
	add(ident, 30, "dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit.")
	add(ident, 32, "pscale_pw_", "pscale_tkn_", "pscale_oauth_")
	add(hexa, 30, "sbp_")
	addMixed(b64url, 20, "sb_secret_", "mdb_sa_sk_", "tk-us-", "ucat_")
	addMixed(b64url, 16, "AVNS_")
	add(word, 40, "CCDB1_")
	add(ident, 60, "AstraCS:")
	add(b64, 40, "fm2_", "fm1r_", "fm1a_")
	add(b64url, 40, "fo1_")
	add(b64url, 20, "tskey-")
	add(alnum, 32, "nfp_", "napi_", "xau_")
	addMixed(alnum, 24, "rnd_")
	add(b64url, 30, "vercel_blob_rw_", "ddp_", "ddo_", "vcp_", "vci_", "vca_", "vcr_", "vck_")
	add(b64url, 30, "HRKU-")
	add(alnum, 36, "pul-", "pnu_", "pnb_")
	add(hexa, 32, "dapi", "dose")
	add(b64url, 60, "ops_eyJ")
	add(b64url, 40, "sha256~")
	add(b64url, 30, "cflt")
	add(ident, 60, "dt0c01.", "dt0s01.", "dt0s16.")
	add(alnum, 58, "nsec1")
	add(b64, 80, "ED25519-V3:")
	addMixed(b64, 40, "{AQAAABAAAA") // Jenkins
	add(b32, 50, "AGE-SECRET-KEY-1", "AGE-PLUGIN-")
	add(b64, 80, "RWRTY0Iy", "RWRCS") // minisign, signify
	add(ident, 60, "SWMTKN-1-")
	add(alnum, 100, "xprv", "yprv", "zprv")
	add(b64url, 40, "v1.local.", "v2.local.", "v3.local.", "v4.local.")
	addMixed(b64url, 20, "ctx7sk-")
	addMixed(ident, 36, "A3-")
}

func developers(add, addMixed adder) {
	add(alnum, 16, "ghp_", "gho_", "ghu_", "ghs_", "ghr_")
	add(word, 22, "github_pat_")
	add(ident, 16, "glpat-", "glrt-", "glcbt-", "glptt-", "glft-", "gldt-", "glsoat-", "glimt-", "glagent-", "gloas-", "glffct-", "glwt-", "GR1348941")
	add(opaque, 40, "ATATT3", "ATCTT3", "ATSTT3")
	addMixed(alnum, 30, "ATBB")
	add(hexa, 64, "ATTA")
	add(b64url, 30, "jina_")
	add(alnum, 30, "npm_", "apify_api_", "apify_proxy_")
	add(b64url, 40, "pypi-AgE")
	add(hexa, 40, "rubygems_")
	add(alnum, 43, "oy2")
	addMixed(alnum, 32, "cio", "ico-")
	add(b64url, 20, "dckr_pat_", "dckr_oat_")
	add(alnum, 40, "AKCp", "cmVmdGtu")
	add(alnum, 32, "bkua_", "CLOJARS_", "slk_")
	add(word, 32, "CCIPAT_", "CCIPRJ_", "sgp_")
	add(hexa, 32, "squ_", "sqp_", "sqa_")
	add(ident, 40, "PMAK-", "pat.", "snyk_uat.", "snyk_sat.")
	add(b32, 26, "API-")
	add(hexa, 64, "rdme_xn8s9h", "rootly_", "s-s4t2ud-", "s-s4t2af-")
	add(b32, 20, "NRAK-", "NRIQ-")
	add(b64url, 24, "NRII-", "NRJS-", "NRRA-")
	add(word, 30, "glsa_")
	add(b64, 30, "glc_", "glat_", "eyJrIjoi")
	add(opaque, 30, "sntrys_", "sntryu_", "sntrya_")
	add(alnum, 30, "lin_api_", "lin_oauth_", "ntn_", "secret_")
	add(b64url, 30, "figd_", "figu_", "fio-u-", "tfp_", "CFPAT-", "phx_", "phs_", "hcaik_", "hcxik_", "hcalk_", "xaat-", "xapt-", "waka_", "ory_pat_", "ory_at_", "ory_st_")
	addMixed(b64url, 30, "sdk-", "api-", "pat-na1-", "pat-na2-", "pat-eu1-", "dnkey-", "secret-live-", "secret-test-", "persona_production_", "persona_sandbox_", "BBFF-")
	addMixed(alnum, 20, "tr_prod_", "tr_dev_", "tr_stg_")
	add(ident, 30, "api_live.", "api_sandbox.", "api_live_us.", "api_live_eu.")
	add(hexa, 32, "shpat_", "shppa_", "shpca_", "shpss_", "shptka_", "shpua_", "cal_live_", "cal_test_", "zpka_")
	add(alnum, 26, "aio_", "unkey_", "sm_aat_", "sm_pat_", "sm_sat_", "samsara_api_")
	add(word, 40, "KEY01")
	addMixed(b64url, 60, "sl.", "sl.u.")
	add(b64url, 22, "signkey-prod-", "signkey-test-")
	add(b64, 40, "dG9rO") // an id that begins with tok:
}

func messaging(add, addMixed adder) {
	add(b64url, 16, "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxc-", "xoxo-", "xapp-", "xwfp-", "xoxe.xox")
	add(opaque, 40, "xoxd-", "xoxe-")
	add(ident, 40, "SG.")
	add(hexa, 32, "key-", "SK")
	add(b64url, 60, "xkeysib-", "xsmtpsib-", "os_v2_app_", "os_v2_org_", "mfa.")
	addMixed(word, 26, "re_")
	addMixed(b64url, 20, "md-")
	add(alnum, 100, "IGQV")
	addMixed(alnum, 40, "pina_")
	addMixed(alnum, 20, "lip_")
	addMixed(alnum, 30, "oauth:")
}

func models(add, addMixed adder) {
	addMixed(b64url, 20, "sk-", "csk-", "rk-", "pa-")
	add(alnum, 30, "hf_", "api_org_", "gsk_", "r8_", "pplx-", "fc-")
	addMixed(alnum, 22, "fw_")
	add(alnum, 40, "xai-")
	add(word, 30, "pcsk_", "lsv2_pt_", "lsv2_sk_", "wandb_v1_", "bb_live_", "bb_test_")
	add(b64url, 40, "nvapi-", "tgp_v1_")
	add(b64url, 20, "tvly-")
	addMixed(hexa, 30, "e2b_", "n8n_api_", "sk_")
}

// literal returns the text at which to look for the token: a short prefix is
// looked for with the byte after it, which makes for rarer pairs.
func (t *token) literal() string {
	if len(t.prefix) > 4 {
		return t.prefix
	}
	return t.prefix + string(rune(anyB64))
}

// token judges a self-named credential whose prefix starts at start.
func (m *scanner) token(t *token, start int) int {
	end := start + len(t.prefix)
	if t.prefix[0] != '_' && t.prefix[0] != anyDigit && !m.startsWord(start) {
		return 0
	}
	// "x-sk-": a prefix after a hyphen is the end of a longer name, unless the
	// hyphen is the mark of a list or a diff.
	if t.mixed && start > 1 && (m.s[start-1] == '-' || m.s[start-1] == '_') && is(m.s[start-2], ident) {
		return 0
	}
	to := m.run(end, t.body)
	for to > end && (m.s[to-1] == '.' || m.s[to-1] == '-') {
		to--
	}
	if to-end < t.least || t.mixed && !mixed(m.s[end:to]) {
		return 0
	}
	to = m.mask(end, m.tokenEnd(to, t.prefix))
	if t.prefix == "AKIA" || t.prefix == "ASIA" {
		return m.awsSecret(to)
	}
	return to
}

// awsSecret masks the secret key that stands next to an access key's id, which
// ends at id: forty bytes of base64.
func (m *scanner) awsSecret(id int) int {
	i := id
	for end := min(len(m.s), id+5); i < end && strings.IndexByte(" ,:;|/'\"\t", m.s[i]) >= 0; {
		i++
	}
	if to := m.run(i, b64); i > id && to-i == 40 && mixed(m.s[i:to]) {
		return m.mask(i, to)
	}
	return id
}

// tokenEnd returns where a token ends whose body goes on to i: also behind
// further parts, so that a form longer than the known one leaves nothing.
func (m *scanner) tokenEnd(i int, prefix string) int {
	s := m.s
	for i < len(s) {
		switch c := s[i]; {
		case is(c, b64url), c == '=', c == '+', c == '~':
			i++
		case (c == '.' || c == '-' || c == prefix[len(prefix)-1]) && i+1 < len(s) && is(s[i+1], alnum):
			i++
		case hasFold(s, i, "%2f"), hasFold(s, i, "%2b"), hasFold(s, i, "%3d"):
			i += 3
		default:
			return i
		}
	}
	return i
}
