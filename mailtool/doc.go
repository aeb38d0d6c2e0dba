// Package mailtool gives a model mail to send over SMTP, that a person confirms.
//
//	mc, err := mailtool.New(mailtool.Options{
//		Host:       "smtp.example.com",
//		Username:   "orders",
//		Password:   password,
//		From:       "orders@example.com",
//		Recipients: mailtool.Recipients{Allow: []string{"example.com", "ann@customer.example"}},
//	})
//	if err != nil {
//		return err
//	}
package mailtool
