package stripetool

// optIn are the resources that have to be named one by one: [ResourceNames] does not
// have them. What they are about is somebody's card, bank account or business. No card
// number and code, no number of a bank account, no birth date, address, e-mail address
// and telephone number of a holder, no person and external account of a connected
// account, and no reader's address is among the fields.
var optIn = map[string]*resource{
	"accounts": {path: []string{"accounts"}, prefixes: []string{"acct_"},
		fields: fields(common + "business_profile.name business_type capabilities.* charges_enabled country default_currency details_submitted payouts_enabled type " +
			"requirements.currently_due requirements.disabled_reason requirements.past_due")},

	"climate_orders": {path: []string{"climate", "orders"}, prefixes: []string{"climorder_"}, undated: true,
		fields: fields(common + "amount_fees amount_subtotal amount_total beneficiary.public_name canceled_at cancellation_reason confirmed_at currency delayed_at delivered_at expected_delivery_year metric_tons product status")},
	"climate_products": {path: []string{"climate", "products"}, prefixes: []string{"climsku_"}, undated: true,
		fields: fields(common + "delivery_year metric_tons_available name current_prices_per_metric_ton.*.amount_fees current_prices_per_metric_ton.*.amount_total suppliers.id suppliers.name")},
	"climate_suppliers": {path: []string{"climate", "suppliers"}, prefixes: []string{"climsup_"}, undated: true,
		fields: fields(common + "info_url locations.city locations.country name removal_pathway")},

	"financial_connections_accounts": {path: []string{"financial_connections", "accounts"}, prefixes: []string{"fca_"}, filters: []string{"account_holder[account]", "account_holder[customer]", "session"}, undated: true,
		fields: fields(common + "account_holder.account account_holder.customer account_holder.type balance.as_of balance.current.* balance.type category display_name institution_name last4 permissions status subcategory")},
	"financial_connections_transactions": {path: []string{"financial_connections", "transactions"}, prefixes: []string{"fctxn_"}, filters: []string{"account"}, required: "account", undated: true,
		fields: fields(common + "account amount currency description status transacted_at updated")},

	"issuing_authorizations": {path: []string{"issuing", "authorizations"}, prefixes: []string{"iauth_"}, filters: []string{"card", "cardholder", "status"},
		fields: fields(common + "amount approved authorization_method card.id card.last4 cardholder currency merchant_amount merchant_currency " + merchant + "request_history.approved request_history.reason status wallet")},
	"issuing_cardholders": {path: []string{"issuing", "cardholders"}, prefixes: []string{"ich_"}, filters: []string{"status", "type"},
		fields: fields(common + "name requirements.disabled_reason requirements.past_due status type")},
	"issuing_cards": {path: []string{"issuing", "cards"}, prefixes: []string{"ic_"}, filters: []string{"cardholder", "last4", "status", "type"},
		fields: fields(common + "brand cancellation_reason cardholder.id cardholder.name currency exp_month exp_year last4 replaced_by replacement_for replacement_reason " +
			"spending_controls.spending_limits.amount spending_controls.spending_limits.interval status type")},
	"issuing_disputes": {path: []string{"issuing", "disputes"}, prefixes: []string{"idp_"}, filters: []string{"status", "transaction"},
		fields: fields(common + "amount currency evidence.reason status transaction")},
	"issuing_transactions": {path: []string{"issuing", "transactions"}, prefixes: []string{"ipi_"}, filters: []string{"card", "cardholder", "type"},
		fields: fields(common + "amount authorization balance_transaction card cardholder currency dispute merchant_amount merchant_currency " + merchant + "type wallet")},

	"terminal_locations": {path: []string{"terminal", "locations"}, prefixes: []string{"tml_"}, undated: true,
		fields: fields(common + "address.city address.country display_name")},
	"terminal_readers": {path: []string{"terminal", "readers"}, prefixes: []string{"tmr_"}, filters: []string{"device_type", "location", "status"}, undated: true,
		fields: fields(common + "action.failure_code action.status action.type device_sw_version device_type label location serial_number status")},

	"treasury_financial_accounts": {path: []string{"treasury", "financial_accounts"}, prefixes: []string{"fa_"},
		fields: fields(common + "active_features balance.cash.* balance.inbound_pending.* balance.outbound_pending.* country pending_features restricted_features status supported_currencies")},
	"treasury_transactions": {path: []string{"treasury", "transactions"}, prefixes: []string{"trxn_"}, filters: []string{"financial_account", "status"}, required: "financial_account",
		fields: fields(common + "amount balance_impact.cash balance_impact.inbound_pending balance_impact.outbound_pending currency description financial_account flow flow_type status")},
}

const merchant = "merchant_data.category merchant_data.city merchant_data.country merchant_data.name "
