// What a credentials file says: the seed of an nkey and, in comment lines that other NATS tools skip, where this user
// finds JetStream.
import { nkeys } from '@nats-io/nats-core';
import { EngineError } from '#engine/model/errors.ts';

export interface Credentials {
  readonly seed: Uint8Array;
  readonly publicKey: string;
  /** `$JS.API`, or what the user's account imports in its place. */
  readonly apiPrefix: string;
}

export const OWN_API = '$JS.API';

/** A user may listen below its own prefixes only, so nobody hears what another one asked for. */
export const inboxPrefix = (publicKey: string): string => `_INBOX.${publicKey}`;
export const deliverPrefix = (publicKey: string): string => `_WEIR.${publicKey}`;

export const formatCredentials = (seed: string, apiPrefix: string = OWN_API): string =>
  apiPrefix === OWN_API ? `${seed}\n` : `${seed}\n# jetstream ${apiPrefix}\n`;

export const parseCredentials = (text: string): Credentials => {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const seed = new TextEncoder().encode(lines.find((line) => line.startsWith('SU')) ?? '');
  const api = lines.map((line) => /^# jetstream (\S+)$/.exec(line)?.[1]).find(Boolean);
  try {
    const publicKey = nkeys.fromSeed(seed).getPublicKey();
    return { seed, publicKey, apiPrefix: api ?? OWN_API };
  } catch (cause) {
    throw new EngineError('ERR_CONFIG_INVALID', 'the bus credentials are not the seed of an nkey', {
      source: 'caller',
      cause,
    });
  }
};
