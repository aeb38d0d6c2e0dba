package mcpsectest

// SetRoom says how many bytes more mails may have.
func SetRoom(s *SMTPServer, n int) { s.room = n }
