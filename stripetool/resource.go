package stripetool

import (
	"maps"
	"slices"
)

// A resource is what the generic tools read.
type resource struct {
	path     []string
	prefixes []string // of ids; none where the account chooses them
	fields   tree
	filters  []string // parameters of the list
	required string   // the one of these that Stripe's list must have, if there is one
	search   []string // fields of Stripe's search; none where there is no search
	undated  bool     // the list has no parameter created
}

// ResourceNames returns the names of the resources that most accounts have. Those of
// Stripe's other products are not among them: Options.Resources names each that a model
// may read.
//
//   - Connect: accounts
//   - Climate: climate_orders, climate_products, climate_suppliers
//   - Financial Connections: financial_connections_accounts, financial_connections_transactions
//   - Issuing: issuing_authorizations, issuing_cardholders, issuing_cards, issuing_disputes, issuing_transactions
//   - Terminal: terminal_locations, terminal_readers
//   - Treasury: treasury_financial_accounts, treasury_transactions
func ResourceNames() []string { return slices.Sorted(maps.Keys(ordinary)) }

// resources are all that there are, by name.
var resources = func() map[string]*resource {
	all := maps.Clone(ordinary)
	maps.Copy(all, optIn)
	return all
}()

const common = "id object created livemode deleted metadata.* "

// ordinary are the resources that most accounts have. What a member's value lets its reader do (pay,
// log in, see a page of a customer's) is not among the fields: no client_secret, no
// fingerprint, no hosted page, no receipt.
var ordinary = map[string]*resource{
	"balance_transactions": {path: []string{"balance_transactions"}, prefixes: []string{"txn_"}, filters: []string{"currency", "payout", "source", "type"},
		fields: fields(common + "amount available_on currency description exchange_rate fee net reporting_category source status type fee_details.amount fee_details.currency fee_details.type")},
	"charges": {path: []string{"charges"}, prefixes: []string{"ch_", "py_"}, filters: []string{"customer", "payment_intent", "transfer_group"},
		search: []string{"amount", "created", "currency", "customer", "disputed", "refunded", "status"},
		fields: fields(common + "amount amount_captured amount_refunded balance_transaction captured currency customer description dispute disputed failure_code invoice outcome.network_status outcome.reason outcome.risk_level outcome.type paid " +
			"payment_intent payment_method payment_method_details.type payment_method_details.card.brand payment_method_details.card.last4 refunded statement_descriptor status")},
	"checkout_sessions": {path: []string{"checkout", "sessions"}, prefixes: []string{"cs_"}, filters: []string{"customer", "payment_intent", "payment_link", "subscription"}, undated: true,
		fields: fields(common + "amount_subtotal amount_total client_reference_id currency customer customer_email expires_at invoice mode payment_intent payment_link payment_status status subscription")},
	"coupons": {path: []string{"coupons"},
		fields: fields(common + "amount_off currency duration duration_in_months max_redemptions name percent_off redeem_by times_redeemed valid")},
	"customers": {path: []string{"customers"}, prefixes: []string{"cus_"}, filters: []string{"email"}, search: []string{"created", "currency", "email", "name", "phone"},
		fields: fields(common + "balance currency delinquent description email invoice_settings.default_payment_method name phone preferred_locales")},
	"disputes": {path: []string{"disputes"}, prefixes: []string{"dp_", "du_"}, filters: []string{"charge", "payment_intent"},
		fields: fields(common + "amount charge currency evidence_details.due_by evidence_details.has_evidence evidence_details.past_due evidence_details.submission_count is_charge_refundable payment_intent reason status")},
	"events": {path: []string{"events"}, prefixes: []string{"evt_"}, filters: []string{"type"},
		fields: fields(common + "account api_version pending_webhooks type data.object.id data.object.object data.object.status")},
	"invoices": {path: []string{"invoices"}, prefixes: []string{"in_"}, filters: []string{"collection_method", "customer", "status", "subscription"}, search: []string{"created", "currency", "customer", "number", "status", "subscription", "total"},
		fields: fields(common + "amount_due amount_paid amount_remaining attempt_count auto_advance billing_reason charge collection_method currency customer customer_email customer_name description due_date next_payment_attempt number paid " +
			"payment_intent period_end period_start status subscription subtotal tax total lines.data.amount lines.data.currency lines.data.description lines.data.quantity lines.data.price.id")},
	"payment_intents": {path: []string{"payment_intents"}, prefixes: []string{"pi_"}, filters: []string{"customer"}, search: []string{"amount", "created", "currency", "customer", "status"},
		fields: fields(common + "amount amount_capturable amount_received canceled_at cancellation_reason capture_method currency customer description invoice last_payment_error.code last_payment_error.decline_code last_payment_error.type " +
			"latest_charge payment_method payment_method_types setup_future_usage statement_descriptor status")},
	"payment_links": {path: []string{"payment_links"}, prefixes: []string{"plink_"}, filters: []string{"active"}, undated: true,
		fields: fields(common + "active allow_promotion_codes billing_address_collection currency")},
	"payment_methods": {path: []string{"payment_methods"}, prefixes: []string{"pm_", "card_", "src_", "ba_"}, filters: []string{"customer", "type"}, undated: true,
		fields: fields(common + "card.brand card.country card.exp_month card.exp_year card.funding card.last4 customer sepa_debit.last4 type us_bank_account.last4")},
	"payouts": {path: []string{"payouts"}, prefixes: []string{"po_"}, filters: []string{"status"},
		fields: fields(common + "amount arrival_date automatic balance_transaction currency description failure_code method reconciliation_status statement_descriptor status type")},
	"prices": {path: []string{"prices"}, prefixes: []string{"price_", "plan_"}, filters: []string{"active", "currency", "product", "type"}, search: []string{"active", "currency", "lookup_key", "product", "type"},
		fields: fields(common + "active billing_scheme currency lookup_key nickname product recurring.interval recurring.interval_count recurring.trial_period_days recurring.usage_type tax_behavior type unit_amount unit_amount_decimal")},
	"products": {path: []string{"products"}, filters: []string{"active"}, search: []string{"active", "description", "name"},
		fields: fields(common + "active default_price description name statement_descriptor tax_code type unit_label updated url")},
	"promotion_codes": {path: []string{"promotion_codes"}, prefixes: []string{"promo_"}, filters: []string{"active", "code", "coupon", "customer"},
		fields: fields(common + "active code coupon.id customer expires_at max_redemptions times_redeemed")},
	"quotes": {path: []string{"quotes"}, prefixes: []string{"qt_"}, filters: []string{"customer", "status"}, undated: true,
		fields: fields(common + "amount_subtotal amount_total currency customer description expires_at invoice number status subscription")},
	"refunds": {path: []string{"refunds"}, prefixes: []string{"re_", "pyr_"}, filters: []string{"charge", "payment_intent"},
		fields: fields(refundFields)},
	"setup_intents": {path: []string{"setup_intents"}, prefixes: []string{"seti_"}, filters: []string{"customer", "payment_method"},
		fields: fields(common + "cancellation_reason customer description last_setup_error.code last_setup_error.decline_code payment_method payment_method_types status usage")},
	"subscriptions": {path: []string{"subscriptions"}, prefixes: []string{"sub_"}, filters: []string{"customer", "price", "status"}, search: []string{"created", "status"},
		fields: fields(common + "billing_cycle_anchor cancel_at cancel_at_period_end canceled_at collection_method currency current_period_end current_period_start customer default_payment_method description ended_at latest_invoice start_date status " +
			"trial_end trial_start items.data.id items.data.quantity items.data.price.id items.data.price.currency items.data.price.unit_amount items.data.price.recurring.interval")},
	"tax_rates": {path: []string{"tax_rates"}, prefixes: []string{"txr_"}, filters: []string{"active"},
		fields: fields(common + "active country description display_name inclusive jurisdiction percentage state tax_type")},
}

const refundFields = common + "amount charge currency failure_reason payment_intent reason status"
