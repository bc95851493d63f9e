import type { ServerInfo } from '@nats-io/nats-core';
import { describe, expect, it } from 'vitest';
import { serverWarnings } from '#adapters/bus-nats/warnings.ts';

const info = (version: string, more: Partial<ServerInfo> = {}) =>
  ({ version, jetstream: true, ...more }) as ServerInfo;

describe('serverWarnings', () => {
  it.each(['2.10.23', '2.10.30', '2.11.0', '2.12.1-RC.1', '3.0.0'])(
    'has none for %s',
    (version) => {
      expect(serverWarnings(info(version, { cluster: 'c' }))).toEqual([]);
    },
  );

  it.each(['2.9.10', '2.10.0', '2.10.22'])('says that %s is for one node', (version) => {
    expect(serverWarnings(info(version))).toEqual([
      expect.stringMatching(/is older than 2\.10\.23: it is fit for one node/),
    ]);
  });

  it('says that conditional writes are broken in a cluster of an old release', () => {
    expect(serverWarnings(info('2.9.10', { cluster: 'c' }))).toHaveLength(2);
  });

  it('says that a release is below what Weir runs on', () => {
    expect(serverWarnings(info('2.8.4'))).toEqual([expect.stringMatching(/older than 2\.9,/)]);
  });

  it('says that JetStream is off', () => {
    expect(serverWarnings(info('2.11.0', { jetstream: false }))).toEqual([
      expect.stringMatching(/JetStream is off/),
    ]);
  });
});
