package tour

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// CheckAudit verifies the audit log, then a copy in which one record was changed.
func (s *Session) CheckAudit(p *Printer) error {
	log, err := os.ReadFile(s.audit)
	if err != nil {
		return err
	}
	head, err := mcpsec.VerifyAuditLog(bytes.NewReader(log), mcpsec.Secret{})
	if err != nil {
		return fmt.Errorf("verifying the audit log: %w", err)
	}
	p.Good("%d records verify; the last has the hash %s…", head.Records, head.Hash[:16])
	edited := bytes.Replace(log, []byte(`"decision":"refused"`), []byte(`"decision":"allowed"`), 1)
	_, err = mcpsec.VerifyAuditLog(bytes.NewReader(edited), mcpsec.Secret{})
	if err == nil {
		return errors.New("an edited audit log verifies")
	}
	p.Good("A copy with one refusal turned into an allowance: %v", err)
	return nil
}

// Log is what the server has written to standard error.
func (s *Session) Log() string { return s.log.String() }

// Written is all that the server has recorded, logged and answered.
func (s *Session) Written() (string, error) {
	audit, err := os.ReadFile(s.audit)
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(audit) + s.log.String() + s.answers.String(), err
}
