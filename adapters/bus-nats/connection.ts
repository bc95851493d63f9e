// One connection that does not give up: neither before the first server answers nor after.
import {
  AuthorizationError,
  type ConnectionOptions,
  type NatsConnection,
  nkeyAuthenticator,
  nkeys,
  UserAuthenticationExpiredError,
} from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { EngineError } from '#engine/model/errors.ts';

export interface ConnectionSettings {
  /** `nats://host:port`, or several of one cluster with commas between. */
  readonly url: string;
  /** Shown in the server's connection list. */
  readonly name: string;
  /** Seed of the user's nkey. */
  readonly credentials?: string;
  readonly log?: (line: string) => void;
  /** Ends the attempts to connect for the first time. */
  readonly signal?: AbortSignal;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;

/** A user may listen below its own prefix only, so nobody hears another's replies. */
export const inboxPrefix = (publicKey: string): string => `_INBOX.${publicKey}`;

type Authentication = Pick<ConnectionOptions, 'authenticator'> & { readonly inboxPrefix: string };

const isRefusal = (error: unknown): boolean =>
  error instanceof AuthorizationError ||
  error instanceof UserAuthenticationExpiredError ||
  (error instanceof Error && error.cause !== undefined && isRefusal(error.cause));

const authentication = (seed: string | undefined): Authentication => {
  if (seed === undefined) return { inboxPrefix: '_INBOX' };
  const bytes = new TextEncoder().encode(seed.trim());
  try {
    const publicKey = nkeys.fromSeed(bytes).getPublicKey();
    return { authenticator: nkeyAuthenticator(bytes), inboxPrefix: inboxPrefix(publicKey) };
  } catch (cause) {
    throw new EngineError('ERR_CONFIG_INVALID', 'the bus credentials are not an nkey seed', {
      source: 'caller',
      cause,
    });
  }
};

const optionsOf = (settings: ConnectionSettings) => ({
  servers: settings.url.split(','),
  name: settings.name,
  ...authentication(settings.credentials),
  timeout: 3000,
  reconnect: true,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 250,
  reconnectJitter: 100,
  // The credentials may be added to the server later, so a refusal is not the end.
  ignoreAuthErrorAbort: true,
  pingInterval: 2000,
  maxPingOut: 3,
});

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });

/** Says each new reason once, not at every attempt. */
export const complain = (
  settings: Pick<ConnectionSettings, 'url' | 'name' | 'log'>,
): ((error: unknown) => void) => {
  let last = '';
  return (error) => {
    const reason = isRefusal(error)
      ? `nats-server at ${settings.url} refuses the credentials of ${settings.name}; trying again until they are known there`
      : `no nats-server answers at ${settings.url}; trying again until one does`;
    if (reason !== last) settings.log?.(reason);
    last = reason;
  };
};

export const openConnection = async (
  settings: ConnectionSettings,
): Promise<{ connection: NatsConnection; inboxPrefix: string }> => {
  const options = optionsOf(settings);
  const report = complain(settings);
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    try {
      return { connection: await connect(options), inboxPrefix: options.inboxPrefix };
    } catch (error) {
      report(error);
    }
    await pause(waitMs, settings.signal);
    if (settings.signal?.aborted)
      throw new EngineError('ERR_BUS_UNREACHABLE', `gave up on nats-server at ${settings.url}`, {
        source: 'bus',
      });
  }
};
