// Asks Node's resolvers. `node lookup.mjs resolve` asks c-ares (dns.resolve4 and its kin), `node lookup.mjs lookup`
// the platform's getaddrinfo (dns.lookup). Reads questions, `TYPE NAME` a line, and prints `TYPE NAME ANSWER`,
// tab-separated, in the normal form of ask.sh. `node lookup.mjs peers NAME` plays the application of scenario S6: it
// looks up the SRV records of NAME, fetches /data from every target and prints `- target: data`.
//
// ROLLCALL_SERVER=host:port, if set, is asked by `resolve` instead of what resolv.conf names.
import dns from 'node:dns/promises';
import { createInterface } from 'node:readline';

const patience = 3000;
const resolver = new dns.Resolver({ timeout: patience, tries: 1 });
if (process.env.ROLLCALL_SERVER) resolver.setServers([process.env.ROLLCALL_SERVER]);

// Node cuts the final dot off.
const absolute = (name) => `${name}.`;

const resolveBy = {
  A: (name) => resolver.resolve4(name),
  AAAA: (name) => resolver.resolve6(name),
  SRV: async (name) => (await resolver.resolveSrv(name)).map((srv) => `${srv.port}:${absolute(srv.name)}`),
  PTR: async (address) => (await resolver.reverse(address)).map(absolute),
  TXT: async (name) => (await resolver.resolveTxt(name)).map((parts) => `"${parts.join('')}"`),
  CNAME: async (name) => (await resolver.resolveCname(name)).map(absolute),
};

const lookup = async (name, family) => (await dns.lookup(name, { all: true, family })).map((found) => found.address);
const lookupBy = {
  A: (name) => lookup(name, 4),
  AAAA: (name) => lookup(name, 6),
};

// c-ares tells NXDOMAIN from NODATA, dns.lookup says ENOTFOUND for both.
const resolveErrors = { ENOTFOUND: 'NXDOMAIN', ENODATA: 'NODATA' };
const lookupErrors = { ENOTFOUND: 'NONE' };

async function answerAll(askBy, errors) {
  for await (const question of createInterface({ input: process.stdin })) {
    const [type, name] = question.split(' ');
    const answer = await askBy[type](name).then(
      // An alias whose target has none of the type is no error to c-ares.
      (words) => words.sort().join(' ') || 'NODATA',
      (error) => errors[error.code] ?? `ERROR: ${error.message}`,
    );
    console.log([type, name, answer].join('\t'));
  }
}

async function printPeers(name) {
  for (const { name: target, port } of await dns.resolveSrv(name)) {
    const response = await fetch(`http://${target}:${port}/data`, { signal: AbortSignal.timeout(patience) });
    console.log(`- ${absolute(target)}: ${(await response.text()).trim()}`);
  }
}

const [mode, name] = process.argv.slice(2);
switch (mode) {
  case 'resolve':
    await answerAll(resolveBy, resolveErrors);
    break;
  case 'lookup':
    await answerAll(lookupBy, lookupErrors);
    break;
  case 'peers':
    await printPeers(name);
    break;
  default:
    throw new Error('resolve, lookup, or peers NAME');
}
