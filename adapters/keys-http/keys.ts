// Issuers' key sets over HTTP: fetched ahead of need, kept for a day when the issuer is away, never asked too often.
import { reasonOf } from '#engine/model/errors.ts';
import type { IssuerEndpoints } from '#engine/model/snapshot.ts';
import type { Clock } from '#engine/ports/clock.ts';
import type { KeyAddress, KeyNews, KeySet, Keys } from '#engine/ports/keys.ts';
import { Queue } from '#engine/ports/queue.ts';
import type { Web } from '#engine/ports/web.ts';

export interface KeysOptions {
  readonly web: Web;
  readonly clock: Clock;
  /** Calls `work` once, that much later, unless the returned function is called first. Default: a timer. */
  readonly later?: (ms: number, work: () => void) => () => void;
  /** Between two fetches while all is well. Default 5 min. */
  readonly refreshMs?: number;
  /** Between two tries while the issuer is away, and between two fetches for unknown keys. Default 30 s. */
  readonly cooldownMs?: number;
  /** How long the last good set outlives its issuer. Default 24 h. */
  readonly keepMs?: number;
}

interface Followed {
  readonly address: KeyAddress;
  set: KeySet | undefined;
  text: string;
  /** Monotonic; of the last success. */
  goodAt: number;
  /** Somebody waits for a key that the set does not have. */
  isMissed: boolean;
  /** Monotonic; of the last fetch for an unknown key. */
  missedAt: number;
  failing: boolean;
  cancel: () => void;
  running: Promise<void> | undefined;
}

const keyOf = (address: KeyAddress): string =>
  address.type === 'jwks' ? `jwks ${address.uri}` : `discovery ${address.issuer}`;

export const createKeys = (options: KeysOptions): Keys => {
  const { web, clock } = options;
  const refreshMs = options.refreshMs ?? 300_000;
  const cooldownMs = options.cooldownMs ?? 30_000;
  const later = options.later ?? inTime;
  const keepMs = options.keepMs ?? 86_400_000;
  const followed = new Map<string, Followed>();
  const news = new Queue<KeyNews>({ limit: 1000 });

  const isFresh = (entry: Followed) =>
    entry.set !== undefined && clock.monotonic() - entry.goodAt <= keepMs;

  const succeed = (entry: Followed, set: KeySet): void => {
    const text = JSON.stringify(set);
    const { address } = entry;
    if (entry.failing) news.push({ type: 'recovered', address });
    if (text !== entry.text) news.push({ type: 'rotated', address });
    Object.assign(entry, { set, text, goodAt: clock.monotonic(), failing: false });
  };

  const fail = (entry: Followed, error: unknown): void => {
    const { address } = entry;
    const ageMs = entry.set ? clock.monotonic() - entry.goodAt : 0;
    if (!entry.failing)
      news.push({
        type: 'unreachable',
        address,
        ageMs,
        reason: reasonOf(error),
      });
    entry.failing = true;
    if (entry.set && !isFresh(entry)) {
      entry.set = undefined;
      entry.text = '';
      news.push({ type: 'expired', address });
    }
  };

  const refresh = (entry: Followed): Promise<void> => {
    entry.running ??= (async () => {
      entry.cancel();
      if (entry.isMissed) entry.missedAt = clock.monotonic();
      entry.isMissed = false;
      try {
        succeed(entry, await fetchKeySet(entry.address, web));
      } catch (error) {
        fail(entry, error);
      } finally {
        entry.running = undefined;
        if (followed.get(keyOf(entry.address)) === entry) fetchIn(entry, nextDelay(entry));
      }
    })();
    return entry.running;
  };

  const missDelay = ({ missedAt }: Followed): number =>
    Math.max(0, missedAt + cooldownMs - clock.monotonic());

  /** A key that was missed during a fetch may have come after the issuer had written its answer. */
  const nextDelay = (entry: Followed): number => {
    if (entry.failing) return cooldownMs;
    return entry.isMissed ? missDelay(entry) : refreshMs;
  };

  const fetchIn = (entry: Followed, ms: number): void => {
    entry.cancel();
    if (ms === 0) void refresh(entry);
    else entry.cancel = later(ms, () => void refresh(entry));
  };

  const start = (address: KeyAddress): Followed => ({
    address,
    set: undefined,
    text: '',
    goodAt: 0,
    isMissed: false,
    missedAt: Number.NEGATIVE_INFINITY,
    failing: false,
    cancel: () => {},
    running: undefined,
  });

  const forget = (key: string, entry: Followed): void => {
    entry.cancel();
    followed.delete(key);
  };

  return {
    async follow(addresses) {
      const wanted = new Map(addresses.map((address) => [keyOf(address), address]));
      for (const [key, entry] of followed) if (!wanted.has(key)) forget(key, entry);
      const firstTries: Promise<void>[] = [];
      for (const [key, address] of wanted) {
        if (followed.has(key)) continue;
        const entry = start(address);
        followed.set(key, entry);
        firstTries.push(refresh(entry));
      }
      await Promise.all(firstTries);
    },
    current(address) {
      const entry = followed.get(keyOf(address));
      return entry && isFresh(entry) ? entry.set : undefined;
    },
    miss(address) {
      const entry = followed.get(keyOf(address));
      // While the issuer is away it is tried again anyway.
      if (!entry || entry.failing || entry.isMissed) return;
      entry.isMissed = true;
      if (!entry.running) fetchIn(entry, missDelay(entry));
    },
    news: () => news,
    close() {
      for (const [key, entry] of followed) forget(key, entry);
      news.close();
    },
  };
};

const inTime = (ms: number, work: () => void): (() => void) => {
  const timer = setTimeout(work, ms).unref();
  return () => clearTimeout(timer);
};

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const fetchKeySet = async (address: KeyAddress, web: Web): Promise<KeySet> => {
  const found =
    address.type === 'jwks' ? { uri: address.uri } : await discover(address.issuer, web);
  const value = await fetchJson(found.uri, web);
  if (!isRecord(value) || !Array.isArray(value['keys']))
    throw new Error('did not answer a JSON Web Key Set');
  const keys = value['keys'].filter(isRecord);
  return 'endpoints' in found ? { keys, endpoints: found.endpoints } : { keys };
};

interface Discovered {
  readonly uri: string;
  readonly endpoints?: IssuerEndpoints;
}

/** OpenID Connect Discovery 1.0 section 4: the document must name the issuer it was asked for. */
const discover = async (issuer: string, web: Web): Promise<Discovered> => {
  const value = await fetchJson(
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    web,
  );
  if (!isRecord(value) || value['issuer'] !== issuer)
    throw new Error('the discovery document names another issuer');
  const uri = value['jwks_uri'];
  if (typeof uri !== 'string') throw new Error('the discovery document has no jwks_uri');
  if (!isAsSafe(uri, issuer)) throw new Error('jwks_uri is not https, although the issuer is');
  const endpoints = endpointsOf(value, issuer);
  return endpoints ? { uri, endpoints } : { uri };
};

const isAsSafe = (address: string, issuer: string): boolean =>
  /^https?:/.test(address) && (!issuer.startsWith('https:') || address.startsWith('https:'));

/** Of issuers with whom people can sign in; an address that is less safe than the issuer's own is none. */
const endpointsOf = (
  document: Readonly<Record<string, unknown>>,
  issuer: string,
): IssuerEndpoints | undefined => {
  const address = (name: string): string | undefined => {
    const value = document[name];
    return typeof value === 'string' && URL.canParse(value) && isAsSafe(value, issuer)
      ? value
      : undefined;
  };
  const [authorization, token] = [address('authorization_endpoint'), address('token_endpoint')];
  if (authorization === undefined || token === undefined) return undefined;
  const endSession = address('end_session_endpoint');
  const methods = document['token_endpoint_auth_methods_supported'];
  return {
    authorization,
    token,
    ...(endSession !== undefined && { endSession }),
    namesItself: document['authorization_response_iss_parameter_supported'] === true,
    secretInBody:
      Array.isArray(methods) &&
      !methods.includes('client_secret_basic') &&
      methods.includes('client_secret_post'),
  };
};

const FETCH_MS = 5000;
const MAX_SET_BYTES = 512 * 1024;

const fetchJson = async (url: string, web: Web): Promise<unknown> => {
  const { status, body } = await web.ask({
    method: 'GET',
    url,
    headers: { accept: 'application/json' },
    timeoutMs: FETCH_MS,
    maxBytes: MAX_SET_BYTES,
  });
  if (status !== 200) throw new Error(`answered ${status}`);
  try {
    return JSON.parse(body);
  } catch {
    throw new Error('did not answer JSON');
  }
};
