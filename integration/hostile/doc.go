// Package hostile attacks a server, in a process of its own and with everything
// on, over real sockets: requests that a seeded mutator has damaged, forged
// tokens and answers, and clients that are slow, deaf, many or gone. It needs
// Linux: it reads /proc, and calls from all over 127.0.0.0/8 so that one address
// does not pay for another.
package hostile
