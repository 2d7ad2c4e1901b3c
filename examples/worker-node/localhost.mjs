// For the stack on this machine, where a resolver knows no names under .localhost: node --import ./localhost.mjs ...

import dns from 'node:dns'

const lookup = dns.lookup
dns.lookup = (host, ...more) => lookup(host.endsWith('.localhost') ? '127.0.0.1' : host, ...more)
