package stripetool

import (
	"errors"
	"strconv"
	"strings"
)

// Money is an amount in the smallest unit that Stripe counts a currency in: 1900
// EUR are nineteen euros, 500 JPY five hundred yen, 1250 KWD one dinar and a
// quarter. The zero Money is none.
type Money struct {
	Amount   int64  // at most 1<<53, and not negative
	Currency string // ISO 4217, in capitals, one that Stripe takes
}

// maxAmount is what JSON's readers take exactly, and more than Stripe takes.
const maxAmount = 1 << 53

var (
	errCurrency = errors.New("a currency must be one that Stripe takes, by its three letters in capitals")
	errMoney    = errors.New("an amount must be written as in EUR 19.00, with as many decimals as the currency has: JPY 500, KWD 1.250")
	errAmount   = errors.New("an amount must not be negative or more than 1<<53, and Stripe takes none with a last decimal in currencies of three, and none with decimals of ISK and UGX")
)

// ParseMoney reads what String writes, as in "EUR 19.00": the currency in capitals,
// one space, and exactly as many decimals as the currency has. There is one way to
// write an amount, so that 1900 is never taken for 19.00. No error quotes s.
func ParseMoney(s string) (Money, error) {
	currency, number, ok := strings.Cut(s, " ")
	if !ok {
		return Money{}, errMoney
	}
	digits, ok := decimals[currency]
	if !ok {
		return Money{}, errCurrency
	}
	whole, part, point := strings.Cut(number, ".")
	if point != (digits > 0) || len(part) != digits || len(whole) == 0 || len(whole) > 16 || len(whole) > 1 && whole[0] == '0' || strings.Trim(whole+part, "0123456789") != "" {
		return Money{}, errMoney
	}
	n, err := strconv.ParseInt(whole+part, 10, 64)
	if err != nil {
		return Money{}, errAmount
	}
	m := Money{n, currency}
	return m, m.check()
}

// check refuses what is no amount of Stripe's.
func (m Money) check() error {
	switch digits, ok := decimals[m.Currency]; {
	case !ok:
		return errCurrency
	case m.Amount < 0 || m.Amount > maxAmount || digits == 3 && m.Amount%10 != 0 || (m.Currency == "ISK" || m.Currency == "UGX") && m.Amount%100 != 0:
		return errAmount
	}
	return nil
}

// String writes the amount as in "EUR 19.00". What is no amount is "no amount".
func (m Money) String() string {
	digits, ok := decimals[m.Currency]
	if !ok || m.Amount < 0 {
		return "no amount"
	}
	n := strconv.FormatInt(m.Amount, 10)
	if digits == 0 {
		return m.Currency + " " + n
	}
	if len(n) <= digits {
		n = strings.Repeat("0", digits+1-len(n)) + n
	}
	return m.Currency + " " + n[:len(n)-digits] + "." + n[len(n)-digits:]
}

// stripeMoney is an amount as Stripe writes it, with the currency in small letters.
func stripeMoney(amount int64, currency string) (Money, error) {
	m := Money{amount, strings.ToUpper(currency)}
	if _, ok := decimals[m.Currency]; !ok || amount < 0 || amount > maxAmount {
		return Money{}, errAnswer
	}
	return m, nil
}
