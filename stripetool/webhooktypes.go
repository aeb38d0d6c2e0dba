package stripetool

import "strings"

// The types of events that API 2023-10-16 knows, as "type: what can happen". The
// object is of the kind that stands before the colon, or in kindsByPrefix.
const knownTypes = `
account.application: authorized deauthorized
account.external_account: created deleted updated
account: updated
application_fee: created refunded
application_fee.refund: updated
balance: available
billing_portal.configuration: created updated
billing_portal.session: created
capability: updated
cash_balance: funds_available
charge: captured expired failed pending refunded succeeded updated
charge.dispute: closed created funds_reinstated funds_withdrawn updated
charge.refund: updated
checkout.session: async_payment_failed async_payment_succeeded completed expired
climate.order: canceled created delayed delivered product_substituted
climate.product: created pricing_updated
coupon: created deleted updated
credit_note: created updated voided
customer: created deleted updated
customer.discount: created deleted updated
customer.source: created deleted expiring updated
customer.subscription: created deleted paused pending_update_applied pending_update_expired resumed trial_will_end updated
customer.tax_id: created deleted updated
customer_cash_balance_transaction: created
file: created
financial_connections.account: created deactivated disconnected reactivated refreshed_balance refreshed_ownership refreshed_transactions
identity.verification_session: canceled created processing redacted requires_input verified
invoice: created deleted finalization_failed finalized marked_uncollectible paid payment_action_required payment_failed payment_succeeded sent upcoming updated voided
invoiceitem: created deleted updated
issuing_authorization: created request updated
issuing_card: created updated
issuing_cardholder: created updated
issuing_dispute: closed created funds_reinstated submitted updated
issuing_token: created updated
issuing_transaction: created updated
mandate: updated
payment_intent: amount_capturable_updated canceled created partially_funded payment_failed processing requires_action succeeded
payment_link: created updated
payment_method: attached automatically_updated detached updated
payout: canceled created failed paid reconciliation_completed updated
person: created deleted updated
plan: created deleted updated
price: created deleted updated
product: created deleted updated
promotion_code: created updated
quote: accepted canceled created finalized
radar.early_fraud_warning: created updated
refund: created updated
reporting.report_run: failed succeeded
reporting.report_type: updated
review: closed opened
setup_intent: canceled created requires_action setup_failed succeeded
sigma.scheduled_query_run: created
source: canceled chargeable failed mandate_notification refund_attributes_required
source.transaction: created updated
subscription_schedule: aborted canceled completed created expiring released updated
tax.settings: updated
tax_rate: created updated
terminal.reader: action_failed action_succeeded
test_helpers.test_clock: advancing created deleted internal_failure ready
topup: canceled created failed reversed succeeded
transfer: created reversed updated
treasury.credit_reversal: created posted
treasury.debit_reversal: completed created initial_credit_granted
treasury.financial_account: closed created features_status_updated
treasury.inbound_transfer: canceled created failed succeeded
treasury.outbound_payment: canceled created expected_arrival_date_updated failed posted returned
treasury.outbound_transfer: canceled created expected_arrival_date_updated failed posted returned
treasury.received_credit: created failed succeeded
treasury.received_debit: created
`

// kindsByPrefix are the kinds of objects that types with another name are about, by
// the beginning of a type.
var kindsByPrefix = map[string]string{
	"account.application.": "application", "account.external_account.": "bank_account card source", "application_fee.refund.": "fee_refund",
	"charge.dispute.": "dispute", "charge.refund.": "refund", "customer.discount.": "discount", "customer.source.": "bank_account card source",
	"customer.subscription.": "subscription", "customer.tax_id.": "tax_id", "issuing_authorization.": "issuing.authorization", "issuing_card.": "issuing.card",
	"issuing_cardholder.": "issuing.cardholder", "issuing_dispute.": "issuing.dispute", "issuing_token.": "issuing.token", "issuing_transaction.": "issuing.transaction",
	"sigma.scheduled_query_run.": "scheduled_query_run", "source.mandate_notification": "source_mandate_notification", "source.transaction.": "source_transaction",
}

// kindsOf are the kinds of objects that events of a type are about; none if the type is
// not known.
func kindsOf(eventType string) []string {
	dot := strings.LastIndexByte(eventType, '.')
	if dot < 1 {
		return nil
	}
	object, what := eventType[:dot], eventType[dot+1:]
	for line := range strings.Lines(knownTypes) {
		name, all, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name != object {
			continue
		}
		for _, known := range strings.Fields(all) {
			if known == what {
				return kinds(object, eventType)
			}
		}
	}
	return nil
}

func kinds(object, eventType string) []string {
	for prefix, kinds := range kindsByPrefix {
		if strings.HasPrefix(eventType, prefix) {
			return strings.Fields(kinds)
		}
	}
	return []string{object}
}
