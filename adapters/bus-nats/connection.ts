// One connection that does not give up: neither before the first server answers nor after.
import {
  AuthorizationError,
  type ConnectionOptions,
  type NatsConnection,
  nkeyAuthenticator,
  UserAuthenticationExpiredError,
} from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { EngineError } from '#engine/model/errors.ts';
import { type Credentials, inboxPrefix } from './credentials.ts';

export interface ConnectionSettings {
  /** `nats://host:port`, or several of one cluster with commas between. */
  readonly url: string;
  /** Shown in the server's connection list. */
  readonly name: string;
  /** Text of the user's credentials file: the seed of an nkey. */
  readonly credentials?: string;
  readonly log?: (line: string) => void;
  /** Ends the attempts to connect for the first time. */
  readonly signal?: AbortSignal;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;

const isRefusal = (error: unknown): boolean =>
  error instanceof AuthorizationError ||
  error instanceof UserAuthenticationExpiredError ||
  (error instanceof Error && error.cause !== undefined && isRefusal(error.cause));

const optionsOf = (
  settings: ConnectionSettings,
  credentials: Credentials | undefined,
): ConnectionOptions => ({
  servers: settings.url.split(','),
  name: settings.name,
  ...(credentials && {
    authenticator: nkeyAuthenticator(credentials.seed),
    inboxPrefix: inboxPrefix(credentials.publicKey),
  }),
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
  credentials: Credentials | undefined,
): Promise<NatsConnection> => {
  const options = optionsOf(settings, credentials);
  const report = complain(settings);
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    try {
      return await connect(options);
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
