// A mail server that is none of ours. It is told its certificate, its user and the
// records of the DNS in a line of JSON, prints its port, and then each letter with its
// envelope and what becomes of its signatures. It ends with its input.
'use strict';
const { createRequire } = require('node:module');
const { createInterface } = require('node:readline');
const { domainToASCII } = require('node:url');

const need = createRequire(process.argv[2] + '/');
const { SMTPServer } = need('smtp-server');
const { dkimVerify } = need('mailauth/lib/dkim/verify');

const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');

// ascii undoes what the server does to show a domain to people.
const ascii = (address) => address.replace(/@(.*)$/, (_, domain) => '@' + domainToASCII(domain));

async function verified(data, records) {
	const resolver = async (name, type) => {
		if (type === 'TXT' && records[name]) return [[records[name]]];
		throw Object.assign(new Error('no such record'), { code: 'ENOTFOUND' });
	};
	const { results } = await dkimVerify(data, { resolver });
	return results.map((r) => `${r.selector || ''} ${r.algo || ''} ${r.status.result}`);
}

function serve({ key, cert, user, password, records }) {
	const server = new SMTPServer({
		key, cert, logger: false, hideSTARTTLS: false, authOptional: false, authMethods: ['PLAIN', 'LOGIN'], size: 20 << 20, disableReverseLookup: true,
		onAuth: (auth, session, done) => done(auth.username === user && auth.password === password && session.secure ? null : new Error('no'), { user }),
		onData(stream, session, done) {
			const parts = [];
			stream.on('data', (part) => parts.push(part));
			stream.on('end', async () => {
				const data = Buffer.concat(parts);
				const { mailFrom, rcptTo } = session.envelope;
				say({
					from: mailFrom.address, rcpts: rcptTo.map((r) => ascii(r.address)), data: data.toString('base64'), tls: session.tlsOptions && session.tlsOptions.version, hello: session.hostNameAppearsAs,
					signatures: await verified(data, records), forged: await verified(Buffer.concat([Buffer.from('Subject: another\r\n'), data]), records),
				});
				done(null, 'taken');
			});
		},
	});
	server.on('error', (err) => process.stderr.write(err.message + '\n'));
	server.listen(0, '127.0.0.1', () => say({ port: server.server.address().port }));
}

const input = createInterface({ input: process.stdin });
input.once('line', (line) => serve(JSON.parse(line)));
input.on('close', () => process.exit(0));
