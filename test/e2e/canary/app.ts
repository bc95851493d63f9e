// One version of a service whose faults can be set: a process of its own. `GET /stats` tells what it has answered,
// `POST /faults` sets its faults and forgets that.
import { createServer } from 'node:http';

export interface Faults {
  /** Share of requests answered with 500. */
  readonly errors: number;
  /** Every answer takes so many times as long. */
  readonly slowness: number;
  /** Requests to this path fail, all of them. */
  readonly broken?: string;
}

export interface Stats {
  readonly requests: number;
  readonly errors: number;
  /** Milliseconds since 1970; 0 before the first. */
  readonly firstMs: number;
  readonly lastMs: number;
}

const medianMs = 50;
/** p99 at 202 ms, as in the simulation. */
const spread = 0.6;

let faults: Faults = { errors: 0, slowness: 1 };
let stats: Stats = { requests: 0, errors: 0, firstMs: 0, lastMs: 0 };

const normal = (): number =>
  Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

const fails = (path: string): boolean => {
  const failed = path === faults.broken || Math.random() < faults.errors;
  const now = Date.now();
  stats = {
    requests: stats.requests + 1,
    errors: stats.errors + (failed ? 1 : 0),
    firstMs: stats.firstMs || now,
    lastMs: now,
  };
  return failed;
};

const server = createServer((request, response) => {
  const path = request.url ?? '/';
  if (path === '/stats') return void response.end(JSON.stringify(stats));
  if (path === '/faults') {
    let body = '';
    request.on('data', (text: Buffer) => (body += text.toString()));
    request.on('end', () => {
      faults = JSON.parse(body) as Faults;
      stats = { requests: 0, errors: 0, firstMs: 0, lastMs: 0 };
      response.end('{}');
    });
    return;
  }
  const status = fails(path) ? 500 : 200;
  const waitMs = medianMs * Math.exp(spread * normal()) * faults.slowness;
  setTimeout(() => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`{"path":"${path}"}`);
  }, waitMs);
});

server.keepAliveTimeout = 60_000;
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1', () => {
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  process.stdout.write(`listening on ${port}\n`);
});
