// The library's readers: steady requests through the edge, each reader with a token of their own.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { importJWK, type JWK, SignJWT } from 'jose';
import { reasonOf } from '#engine/model/errors.ts';
import { nextRequest } from './readers.ts';
import { createTally, formatTotals } from './tally.ts';

const TOKEN_LIFE_SECONDS = 3600;
const TICK_MS = 10;
const TIMEOUT_MS = 10_000;

const number = (name: string, fallback: number): number => {
  const value = Number(process.env[name] ?? fallback);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0.`);
  return value;
};

const run = async (): Promise<void> => {
  const target = new URL(process.env['TRAFFIC_URL'] ?? 'http://localhost:8080');
  const host = process.env['TRAFFIC_HOST'] ?? 'api.bibby.com';
  const rate = number('TRAFFIC_RATE', 500);
  const readers = number('TRAFFIC_READERS', 200);
  const sign = await tokenMaker();
  let tokens = await sign(readers);
  const renewal = setInterval(
    () => void sign(readers).then((fresh) => (tokens = fresh)),
    (TOKEN_LIFE_SECONDS / 2) * 1000,
  );
  const tally = createTally();
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });

  const ask = () => {
    const { method, path, body } = nextRequest(Math.random);
    const startedMs = performance.now();
    const token = tokens[Math.floor(Math.random() * tokens.length)];
    const outgoing = request(
      {
        agent,
        method,
        path,
        host: target.hostname,
        port: target.port || 80,
        timeout: TIMEOUT_MS,
        headers: { host, ...(token ? { authorization: `Bearer ${token}` } : {}) },
      },
      (response) => {
        response.resume();
        response.once('end', () => {
          tally.answered(response.statusCode ?? 0, performance.now() - startedMs);
        });
      },
    );
    outgoing.once('timeout', () => outgoing.destroy());
    outgoing.once('error', () => tally.lost());
    outgoing.end(body);
  };

  // By the clock and not by the timer: a late tick sends what is due, so the rate holds.
  const startedMs = performance.now();
  let sent = 0;
  const sending = setInterval(() => {
    const due = ((performance.now() - startedMs) / 1000) * rate;
    // After a pause of the whole machine the backlog is dropped, not fired at once.
    sent = Math.max(sent, due - rate);
    for (; sent < due; sent++) ask();
  }, TICK_MS);
  console.log(`traffic of ${rate} requests per second to ${target.origin}`);
  const reporting = setInterval(() => console.log(formatTotals(tally.report())), 1000);

  const stop = () => {
    for (const timer of [sending, reporting, renewal]) clearInterval(timer);
    agent.destroy();
    process.exit(0);
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
};

/** Without a development key the readers stay anonymous. */
const tokenMaker = async (): Promise<(count: number) => Promise<string[]>> => {
  const path =
    process.env['TRAFFIC_KEY'] ??
    join(process.env['WEIR_HOME'] ?? '.weir', 'keys', 'dev-issuer.jwk.json');
  let jwk: JWK;
  try {
    jwk = JSON.parse(readFileSync(path, 'utf8')) as JWK;
  } catch {
    return async () => [];
  }
  const alg = jwk.alg ?? 'EdDSA';
  const key = await importJWK(jwk, alg);
  const issuer = process.env['TRAFFIC_ISSUER'] ?? 'https://id.bibby.com';
  const audience = process.env['TRAFFIC_AUDIENCE'] ?? 'bibby';
  const one = (reader: number) =>
    new SignJWT({ roles: ['reader'] })
      .setProtectedHeader({ alg, ...(jwk.kid ? { kid: jwk.kid } : {}) })
      .setSubject(`reader-${reader}`)
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_LIFE_SECONDS}s`)
      .sign(key);
  return (count) => Promise.all(Array.from({ length: count }, (_, reader) => one(reader + 1)));
};

try {
  await run();
} catch (error) {
  console.error(reasonOf(error));
  process.exitCode = 1;
}
