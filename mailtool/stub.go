package mailtool

import (
	"context"
	"errors"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/wneessen/go-mail/smtp"
)

type built struct{}
type signer struct{}
type pool struct{}

func newPool(Options) *pool                     { return &pool{} }
func (p *pool) close()                          {}
func newSigners(Options) ([]signer, error)      { return nil, nil }
func (o *Options) checkFiles() error            { return nil }
func (c *Client) build(Message) (*built, error) { return nil, errors.New("nothing is built yet") }
func (c *Client) deliver(context.Context, *built, func() error) (Receipt, error) {
	return Receipt{}, ErrUnknown
}

var _ = dkim.SignOptions{}
var _ smtp.Client
