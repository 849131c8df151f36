// Asks Node's resolvers. `node lookup.mjs resolve` asks c-ares (dns.resolve4 and its kin), `node lookup.mjs lookup`
// the platform's getaddrinfo (dns.lookup). Reads questions, `TYPE NAME` a line, and prints `TYPE NAME ANSWER`,
// tab-separated, in the normal form of ask.sh. `node lookup.mjs peers NAME` plays the application of scenario S6: it
// looks up the SRV records of NAME, fetches /data from every target and prints `- target: data`. `node lookup.mjs serve
// NAME PORT` is that application: GET / is what `peers` prints, POST /data is kept, GET /data is what was kept, with
// POD_NAME and POD_IP.
//
// ROLLCALL_SERVER=host:port, if set, is asked by `resolve` instead of what resolv.conf names.
import dns from 'node:dns/promises';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

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

async function listPeers(name) {
  const lines = [];
  for (const { name: target, port } of await dns.resolveSrv(name)) {
    const response = await fetch(`http://${target}:${port}/data`, { signal: AbortSignal.timeout(patience) });
    lines.push(`- ${absolute(target)}: ${(await response.text()).trim()}`);
  }
  return lines.join('\n');
}

function serve(name, port) {
  let kept = 'nothing';
  const answerBy = {
    'GET /': () => listPeers(name),
    'GET /ready': () => 'ready',
    'GET /data': () => `${kept} (${process.env.POD_NAME} at ${process.env.POD_IP})`,
    'POST /data': async (request) => (kept = await text(request)),
  };
  createServer(async (request, response) => {
    try {
      response.end(`${await answerBy[`${request.method} ${request.url}`](request)}\n`);
    } catch (error) {
      response.writeHead(500).end(`${error}\n`);
    }
  }).listen(port);
  // The first process of a container hears no signal that it does not ask for.
  process.on('SIGTERM', () => process.exit(0));
}

const [mode, name, port] = process.argv.slice(2);
switch (mode) {
  case 'resolve':
    await answerAll(resolveBy, resolveErrors);
    break;
  case 'lookup':
    await answerAll(lookupBy, lookupErrors);
    break;
  case 'peers':
    console.log(await listPeers(name));
    break;
  case 'serve':
    serve(name, Number(port));
    break;
  default:
    throw new Error('resolve, lookup, peers NAME, or serve NAME PORT');
}
