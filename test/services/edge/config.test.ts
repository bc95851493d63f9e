import { describe, expect, it } from 'vitest';
import { parseEdgeConfig, workerEnvironment } from '#services/edge/config.ts';

const env = (facts: Record<string, string> = {}) => ({
  WEIR_GATEWAY: 'public',
  WEIR_HOME: '/weir',
  ...facts,
});

describe('the edge’s configuration', () => {
  it('needs nothing but the gateway', () => {
    expect(parseEdgeConfig(env())).toEqual({
      home: '/weir',
      folders: [],
      natsUrl: undefined,
      mesh: 'default',
      credentialsFile: undefined,
      trustedKeysFile: '/weir/keys/trusted.jwks.json',
      admin: { host: '127.0.0.1', port: 0 },
      agent: 'edge-public',
      stateFolder: '/weir/agents/edge-public',
      drainTimeoutMs: 30_000,
      maxConnections: 50_000,
      drainDelayMs: 500,
      accessLog: 'off',
      traces: 'off',
      gateway: 'public',
      listenPorts: new Map(),
      workers: undefined,
      reusePort: false,
    });
  });

  it('takes every setting', () => {
    const config = parseEdgeConfig(
      env({
        WEIR_AGENT: 'edge.1',
        WEIR_NATS_URL: 'nats://bus:4222',
        WEIR_MESH: 'north',
        WEIR_ADMIN_ADDRESS: '[::1]:9901',
        WEIR_LISTEN_PORTS: '80=8080, 443=8443',
        WEIR_DRAIN_TIMEOUT: '500ms',
        WEIR_MAX_CONNECTIONS: '2000',
        WEIR_ACCESS_LOG: 'json',
        WEIR_WORKERS: '4',
        WEIR_REUSE_PORT: 'on',
      }),
    );
    expect(config).toMatchObject({
      agent: 'edge.1',
      natsUrl: 'nats://bus:4222',
      mesh: 'north',
      admin: { host: '::1', port: 9901 },
      stateFolder: '/weir/agents/edge=2e1',
      drainTimeoutMs: 500,
      maxConnections: 2000,
      accessLog: 'json',
      workers: 4,
      reusePort: true,
      listenPorts: new Map([
        [80, 8080],
        [443, 8443],
      ]),
    });
  });

  it.each([
    [{ WEIR_GATEWAY: '' }, 'Set WEIR_GATEWAY to the name of the Gateway to serve, as in public.'],
    [
      { WEIR_LISTEN_PORTS: '80:8080' },
      'WEIR_LISTEN_PORTS must be as in 80=8080,443=8443, not "80:8080".',
    ],
    [
      { WEIR_LISTEN_PORTS: '80=99999' },
      'WEIR_LISTEN_PORTS must be as in 80=8080,443=8443, not "80=99999".',
    ],
    [
      { WEIR_ADMIN_ADDRESS: '9901' },
      'WEIR_ADMIN_ADDRESS must be host:port, as in 127.0.0.1:8080, not "9901".',
    ],
    [{ WEIR_ACCESS_LOG: 'xml' }, 'WEIR_ACCESS_LOG must be one of off, json, not "xml".'],
    [{ WEIR_MAX_CONNECTIONS: '0' }, 'WEIR_MAX_CONNECTIONS must be a number, as in 50000, not "0".'],
    [{ WEIR_DRAIN_TIMEOUT: 'soon' }, 'WEIR_DRAIN_TIMEOUT must be a time, as in 30s, not "soon".'],
    [{ WEIR_WORKERS: 'many' }, 'WEIR_WORKERS must be a number from 1 to 64, not "many".'],
    [{ WEIR_MESH: 'a.b' }, 'WEIR_MESH may have letters, digits, "-" and "_" only, not "a.b".'],
  ])('says what is wrong with %o', (facts, sentence) => {
    expect(() => parseEdgeConfig(env(facts as Record<string, string>))).toThrow(sentence);
  });
});

describe('a worker’s environment', () => {
  const config = parseEdgeConfig(
    env({
      WEIR_AGENT: 'edge-1',
      WEIR_ADMIN_ADDRESS: '[::1]:9901',
      WEIR_CREDENTIALS: '/weir.d/edge-1.nk',
    }),
  );

  it('is the parent’s for the first', () => {
    expect(workerEnvironment(config, 1)).toEqual({
      WEIR_AGENT: 'edge-1',
      WEIR_ADMIN_ADDRESS: '[::1]:9901',
      WEIR_CREDENTIALS: '/weir.d/edge-1.nk',
    });
  });

  it('has a name, an admin port and credentials of its own for the others', () => {
    expect(workerEnvironment(config, 3)).toEqual({
      WEIR_AGENT: 'edge-1-w3',
      WEIR_ADMIN_ADDRESS: '[::1]:9903',
      WEIR_CREDENTIALS: '/weir.d/edge-1-w3.nk',
    });
  });

  it('leaves free ports free, and absent credentials absent', () => {
    expect(workerEnvironment(parseEdgeConfig(env({ WEIR_AGENT: 'e' })), 2)).toEqual({
      WEIR_AGENT: 'e-w2',
      WEIR_ADMIN_ADDRESS: '127.0.0.1:0',
    });
  });
});
