import { describe, expect, it } from 'vitest';
import { parseSidecarConfig } from '#services/sidecar/config.ts';

const env = (facts: Record<string, string> = {}) => ({
  WEIR_NAMESPACE: 'bibby',
  WEIR_WORKLOAD: 'catalog-v1',
  WEIR_APP: '127.0.0.1:9001',
  ...facts,
});

describe('the sidecar’s configuration', () => {
  it('needs the workload and its application', () => {
    expect(parseSidecarConfig(env(), [])).toMatchObject({
      agent: 'bibby-catalog-v1',
      namespace: 'bibby',
      workload: 'catalog-v1',
      labels: {},
      app: { host: '127.0.0.1', port: 9001 },
      inbound: { host: '127.0.0.1', port: 0 },
      advertise: '127.0.0.1',
      command: [],
    });
  });

  it('takes labels, and the application as a command', () => {
    const config = parseSidecarConfig(env({ WEIR_LABELS: 'app=catalog-service, version=v1.1' }), [
      '--',
      'node',
      'app.ts',
      '--fast',
    ]);
    expect(config.labels).toEqual({ app: 'catalog-service', version: 'v1.1' });
    expect(config.command).toEqual(['node', 'app.ts', '--fast']);
  });

  it('announces a host that others can call', () => {
    const everywhere = parseSidecarConfig(env({ WEIR_INBOUND: '0.0.0.0:15006' }), []);
    expect(everywhere.advertise).not.toBe('0.0.0.0');
    const named = parseSidecarConfig(
      env({ WEIR_INBOUND: '0.0.0.0:15006', WEIR_ADVERTISE: 'catalog' }),
      [],
    );
    expect(named.advertise).toBe('catalog');
  });

  it.each([
    [{ WEIR_NAMESPACE: '' }, [], 'Set WEIR_NAMESPACE to the namespace of the workload'],
    [{ WEIR_APP: '' }, [], 'Set WEIR_APP to the address of the application, as in 127.0.0.1:9001.'],
    [{ WEIR_APP: 'nine' }, [], 'WEIR_APP must be host:port'],
    [{ WEIR_LABELS: 'app' }, [], 'WEIR_LABELS must be as in app=catalog-service,version=v1.1'],
    [{}, ['node', 'app.ts'], 'after -- comes the application to run'],
    [{}, ['--'], 'after -- comes the application to run'],
  ] as const)('says what is wrong with %o %o', (facts, args, sentence) => {
    expect(() => parseSidecarConfig(env(facts), args)).toThrow(sentence);
  });
});
