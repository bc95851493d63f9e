import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createNodePlane } from '#adapters/dataplane-node/plane.ts';
import type { Listener } from '#engine/model/snapshot.ts';
import type { SampleFacts } from '#engine/ports/data-plane.ts';
import {
  closeAll,
  closing,
  fixedUpstream,
  get,
  listener,
  ok,
  rawCaller,
  rawUpstream,
  simplePipeline,
  startPlane,
  upstream,
  viewOf,
} from './support.ts';

afterEach(closeAll);

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('an activation', () => {
  it('lets requests under way finish on the view they began with', async () => {
    const slow = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok('old')), 100);
      return true;
    });
    const fresh = await fixedUpstream(ok('new'));
    const { plane, port } = await startPlane(viewOf([upstream([slow.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    while (slow.connections === 0) await sleep(2);
    await plane.activate(viewOf([upstream([fresh.port])], [listener()], 2));
    const second = await rawCaller(port);
    second.send(get());
    await second.until('new');
    await caller.until('old');
    caller.send(get());
    await caller.until('new');
    expect(plane.addresses()[0]?.port).toBe(port);
  });

  it('hands the pipeline its predecessor', async () => {
    const seen: (number | undefined)[] = [];
    const { plane } = await startPlane(
      viewOf([upstream([1])]),
      {},
      {
        pipeline: (view, previous) => {
          seen.push(previous?.revision);
          return simplePipeline(view);
        },
      },
    );
    await plane.activate(viewOf([upstream([1])], [listener()], 2));
    expect(seen).toEqual([undefined, 1]);
  });

  it('that cannot bind rejects and changes nothing', async () => {
    const server = await fixedUpstream(ok());
    const blocker = net.createServer().listen(0, '127.0.0.1');
    closing(() => void blocker.close());
    await new Promise((resolve) => blocker.once('listening', resolve));
    const taken = (blocker.address() as net.AddressInfo).port;
    const { plane, port } = await startPlane(
      viewOf([upstream([server.port])]),
      {},
      {
        listenPorts: new Map([
          [8080, 0],
          [8081, 0],
        ]),
      },
    );
    const next = viewOf(
      [upstream([1])],
      [listener({ name: 'free', port: 8081 }), listener({ name: 'taken', port: taken })],
      2,
    );
    await expect(plane.activate(next)).rejects.toMatchObject({ code: 'ERR_PORT_TAKEN' });
    expect(plane.addresses()).toHaveLength(1);
    const caller = await rawCaller(port);
    caller.send(get());
    await caller.until('ok');
  });

  it('adds listeners, and drains those that go', async () => {
    const server = await fixedUpstream(ok());
    const plans = [upstream([server.port])];
    const { plane, port } = await startPlane(
      viewOf(plans, [listener()]),
      {},
      {
        listenPorts: new Map([
          [8080, 0],
          [8081, 0],
        ]),
      },
    );
    const idle = await rawCaller(port);
    idle.send(get());
    await idle.until('ok');
    await plane.activate(viewOf(plans, [listener({ name: 'other', port: 8081 })], 2));
    await idle.untilClosed();
    expect(plane.addresses()).toEqual([
      expect.objectContaining({ listener: 'other', policyPort: 8081 }),
    ]);
    await expect(rawCaller(port)).rejects.toThrow('ECONNREFUSED');
  });

  it('tells listeners that share a port apart by host', async () => {
    const server = await fixedUpstream(ok());
    const listeners = [
      listener({ name: 'any' }),
      listener({ name: 'api', hostname: 'api.bibby.com' }),
      listener({
        name: 'wild',
        hostname: '*.bibby.com',
        path: { normalization: 'None', encodedSlash: 'keep' },
      }),
    ];
    const seen: string[] = [];
    const { plane, port } = await startPlane(viewOf([upstream([server.port])], listeners), {
      handle: (request, forward) => {
        seen.push(`${request.listener} ${request.path}`);
        return forward;
      },
    });
    expect(plane.addresses()).toHaveLength(1);
    const caller = await rawCaller(port);
    for (const host of ['api.bibby.com', 'x.y.bibby.com', 'elsewhere'])
      caller.send(`GET //a HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    await caller.until(/(ok[^]*){3}/);
    expect(seen).toEqual(['api /a', 'wild //a', 'any /a']);
  });

  it('lets callers wait who come in before it is whole', async () => {
    const server = await fixedUpstream(ok());
    const plane = createNodePlane({
      pipeline: (view) => simplePipeline(view),
      reporter: 'source',
      listenPorts: new Map([
        [8080, 0],
        [8081, 0],
      ]),
    });
    closing(() => plane.close());
    // Among workers the second port is bound much later than the first.
    const real = Object.getOwnPropertyDescriptor(net.Server.prototype, 'listen');
    const listen = real?.value as (this: net.Server, ...given: unknown[]) => net.Server;
    const callers: Promise<string>[] = [];
    const spy = vi.spyOn(net.Server.prototype, 'listen').mockImplementation(function (
      this: net.Server,
      ...given: unknown[]
    ) {
      this.once('listening', () => {
        const caller = rawCaller((this.address() as net.AddressInfo).port);
        callers.push(caller.then((one) => (one.send(get()), one.until(/HTTP.1.1 [0-9]+/))));
      });
      setTimeout(() => listen.apply(this, given), 50);
      return this;
    });
    await plane.activate(
      viewOf([upstream([server.port])], [listener(), listener({ name: 'second', port: 8081 })]),
    );
    spy.mockRestore();
    const ok200 = expect.stringContaining('HTTP/1.1 200');
    expect(await Promise.all(callers)).toEqual([ok200, ok200]);
  });

  it('shares a port with other processes where asked to', async () => {
    const server = await fixedUpstream(ok());
    const view = viewOf([upstream([server.port])]);
    const first = await startPlane(view, {}, { reusePort: true });
    const second = await startPlane(
      view,
      {},
      { reusePort: true, listenPorts: new Map([[8080, first.port]]) },
    );
    expect(second.port).toBe(first.port);
    await first.plane.close();
    const caller = await rawCaller(second.port);
    caller.send(get());
    await caller.until('ok');
  });

  it('keeps WebSockets alive', async () => {
    const server = await rawUpstream((socket, text) => {
      socket.write(
        text.includes('\r\n\r\n')
          ? 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'
          : `echo:${text}`,
      );
      return true;
    });
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get('/', 'Connection: upgrade\r\nUpgrade: websocket\r\n'));
    await caller.until('101');
    await plane.activate(viewOf([upstream([1])], [listener()], 2));
    caller.send('still');
    await caller.until('echo:still');
  });
});

describe('draining', () => {
  it('finishes what is under way and closes', async () => {
    const server = await rawUpstream((socket) => {
      setTimeout(() => socket.write(ok('done')), 100);
      return true;
    });
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const [busy, idle] = [await rawCaller(port), await rawCaller(port)];
    busy.send(get());
    while (server.connections === 0) await sleep(2);
    const drained = plane.drain(5000);
    await idle.untilClosed();
    expect(await busy.untilClosed()).toMatch(/connection: close\r\n\r\ndone$/);
    busy.socket.destroy();
    idle.socket.destroy();
    await drained;
    await plane.close();
    await plane.close();
  });

  it('cuts what lasts longer than the deadline', async () => {
    const server = await rawUpstream(() => false);
    const { plane, port } = await startPlane(viewOf([upstream([server.port])]));
    const caller = await rawCaller(port);
    caller.send(get());
    while (server.connections === 0) await sleep(2);
    await plane.drain(50);
    await caller.untilClosed();
    expect(plane.stats()).toMatchObject({ connections: 0, exchanges: 0 });
  });
});

describe('samples', () => {
  it('say what happened, by rule, service and source', async () => {
    let calls = 0;
    const server = await rawUpstream((socket) => {
      socket.write(calls++ === 0 ? 'HTTP/1.1 500 X\r\ncontent-length: 4\r\n\r\nfail' : ok('fine'));
      return true;
    });
    const { plane, port } = await startPlane(
      viewOf([upstream([server.port], { version: 'v1.1' })], [listener()], 7),
    );
    const caller = await rawCaller(port);
    caller.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc');
    await caller.until('fail');
    caller.send(get());
    await caller.until('fine');
    const facts: SampleFacts[] = [];
    const reading = (async () => {
      for await (const sample of plane.samples()) facts.push(sample);
    })();
    await plane.close();
    await reading;
    expect(facts).toHaveLength(1);
    expect(facts[0]).toMatchObject({ revision: 7, reporter: 'source' });
    expect(facts[0]?.series).toEqual([
      {
        rule: 'bibby/catalog/0',
        service: 'bibby/catalog',
        version: 'v1.1',
        source: 'unknown',
        requests: 2,
        errors: 1,
        statuses: { 200: 1, 500: 1 },
        flags: {},
        latency: { zero: 0, buckets: expect.any(Array), sum: expect.any(Number) },
        requestBytes: 3,
        responseBytes: 8,
        retries: 0,
      },
    ]);
    const { buckets } = facts[0]?.series[0]?.latency ?? { buckets: [] };
    expect(buckets.filter((_, i) => i % 2 === 1).reduce((sum, each) => sum + each, 0)).toBe(2);
  });
});

describe('a body that policy changes', () => {
  it('is sent with its new length, and left alone when it is too large', async () => {
    const server = await rawUpstream((socket, text) => {
      const size = text.startsWith('GET /large') ? 200 : 5;
      socket.write(
        `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`,
      );
      return true;
    });
    const { port } = await startPlane(viewOf([upstream([server.port])]), {
      forward: { collectResponseBytes: 100 },
      pipeline: {
        transformBody: (_exchange, _response, body) =>
          Buffer.from(`<${Buffer.from(body).toString()}>`),
      },
    });
    const caller = await rawCaller(port);
    caller.send(get('/small'));
    expect(await caller.until('<xxxxx>')).toContain('content-length: 7\r\n\r\n<xxxxx>');
    caller.text = '';
    caller.send(get('/large'));
    expect(await caller.until('0\r\n\r\n')).toMatch(
      /transfer-encoding: chunked\r\n\r\nc8\r\nx{200}\r\n0\r\n\r\n$/,
    );
  });
});

describe('a filter that throws', () => {
  it('costs its request only', async () => {
    const { port } = await startPlane(
      viewOf([upstream([1])]),
      {
        handle: () => {
          throw new Error('defect');
        },
      },
      { log: () => {} },
    );
    const caller = await rawCaller(port);
    caller.send(get() + get());
    await caller.until(/(500 Internal Server Error[^]*){2}/);
  });

  it('on the way back costs its request only, too', async () => {
    const server = await fixedUpstream(ok());
    const defect = () => {
      throw new Error('defect');
    };
    for (const pipeline of [
      { respond: defect },
      { wantsBody: defect },
      { transformBody: defect },
    ]) {
      const { port } = await startPlane(
        viewOf([upstream([server.port])]),
        { forward: { collectResponseBytes: 100 }, pipeline },
        { log: () => {} },
      );
      const caller = await rawCaller(port);
      caller.send(get());
      await caller.until('500 Internal Server Error');
      const second = await rawCaller(port);
      second.send(get());
      await second.until('500 Internal Server Error');
    }
    const { port } = await startPlane(
      viewOf([upstream([])]),
      { pipeline: { respond: defect } },
      { log: () => {} },
    );
    const caller = await rawCaller(port);
    caller.send(get());
    await caller.until('503 Service Unavailable');
  });

  it('may also do it late', async () => {
    const { port } = await startPlane(
      viewOf([upstream([1])]),
      { handle: () => Promise.reject(new Error('defect')) },
      { log: () => {} },
    );
    const caller = await rawCaller(port);
    caller.send(get());
    await caller.until('500 Internal Server Error');
  });
});

describe('HTTPS', () => {
  let folder = '';
  const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const issue = (name: string, san: string, extra: string, ca = 'ca') => {
    writeFileSync(
      join(folder, `${name}.ext`),
      `subjectAltName=${san}\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n${extra}`,
    );
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${ca}.crt`,
      '-CAkey',
      `${ca}.key`,
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    );
  };
  const authority = (name: string) =>
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-addext',
      'basicConstraints=critical,CA:TRUE',
      '-addext',
      'keyUsage=critical,keyCertSign',
    );

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'weir-tls-'));
    authority('ca');
    authority('other');
    issue('api', 'DNS:api.bibby.com', '');
    issue('wild', 'DNS:*.bibby.com', '');
    issue('local', 'DNS:localhost,IP:127.0.0.1', '');
    issue(
      'reader',
      'URI:spiffe://bibby/ns/default/sa/reader',
      'extendedKeyUsage=serverAuth,clientAuth',
    );
    issue(
      'stranger',
      'URI:spiffe://bibby/ns/default/sa/stranger',
      'extendedKeyUsage=serverAuth,clientAuth',
      'other',
    );
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const secure = (
    mode: 'none' | 'optional' | 'required',
    names = ['local', 'api', 'wild'],
  ): Listener =>
    listener({
      protocol: 'HTTPS',
      tls: {
        mode: 'Terminate',
        certificates: names.map((name) => ({
          certificate: pem(`${name}.crt`),
          key: pem(`${name}.key`),
        })),
        minVersion: '1.2',
        alpn: ['h2', 'http/1.1'],
        clientCertificate: { mode, ca: pem('ca.crt') },
      },
    });

  const nameShown = (port: number, servername: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tls.connect(
        { host: '127.0.0.1', port, servername, rejectUnauthorized: false },
        () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        },
      );
      socket.on('error', reject);
    });

  const call = (port: number, client?: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = https.get(
        {
          host: '127.0.0.1',
          port,
          path: '/',
          ca: pem('ca.crt'),
          agent: false,
          ...(client === undefined
            ? {}
            : { cert: pem(`${client}.crt`), key: pem(`${client}.key`) }),
        },
        (response) => {
          let text = '';
          response.on('data', (chunk) => (text += chunk));
          response.on('end', () => resolve(text));
        },
      );
      request.on('error', reject);
    });

  it('shows the certificate for the name asked for', async () => {
    const { port } = await startPlane(viewOf([upstream([1])], [secure('none')]));
    expect(await nameShown(port, 'api.bibby.com')).toBe('api');
    expect(await nameShown(port, 'API.bibby.com')).toBe('api');
    expect(await nameShown(port, 'www.bibby.com')).toBe('wild');
    expect(await nameShown(port, 'a.b.bibby.com')).toBe('local');
    expect(await nameShown(port, 'unknown.example')).toBe('local');
  });

  it('serves large bodies, says https and knows who calls', async () => {
    const principals: (string | undefined)[] = [];
    const server = await fixedUpstream(ok('x'.repeat(500_000)));
    const { port } = await startPlane(viewOf([upstream([server.port])], [secure('optional')]), {
      handle: (request, forward) => {
        principals.push(request.peerPrincipal, request.peerNames?.subject);
        return forward;
      },
    });
    expect(await call(port, 'reader')).toHaveLength(500_000);
    expect(await call(port)).toHaveLength(500_000);
    expect(principals).toEqual([
      'spiffe://bibby/ns/default/sa/reader',
      'CN=reader',
      undefined,
      undefined,
    ]);
    expect(server.received.join('')).toContain('x-forwarded-proto: https\r\n');
    await expect(call(port, 'stranger')).rejects.toThrow();
  });

  it('asks for a certificate where one is required', async () => {
    const server = await fixedUpstream(ok('in'));
    const { port } = await startPlane(viewOf([upstream([server.port])], [secure('required')]));
    expect(await call(port, 'reader')).toBe('in');
    await expect(call(port)).rejects.toThrow();
    await expect(call(port, 'stranger')).rejects.toThrow();
  });

  it('refuses old versions', async () => {
    const { port } = await startPlane(viewOf([upstream([1])], [secure('none')]));
    const old = new Promise((resolve, reject) => {
      const socket = tls.connect(
        {
          host: '127.0.0.1',
          port,
          minVersion: 'TLSv1',
          maxVersion: 'TLSv1.1',
          rejectUnauthorized: false,
        },
        () => resolve('in'),
      );
      socket.on('error', reject);
    });
    await expect(old).rejects.toThrow();
  });

  it('takes new certificates without dropping a connection', async () => {
    const server = await fixedUpstream(ok());
    const view = (names: string[]) => viewOf([upstream([server.port])], [secure('none', names)]);
    const { plane, port } = await startPlane(view(['local']));
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    closing(() => void socket.destroy());
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    await plane.activate(view(['api']));
    expect(await nameShown(port, 'localhost')).toBe('api');
    socket.write(get());
    const chunk = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('with a certificate that cannot be used is refused, and the old one stays', async () => {
    const { plane, port } = await startPlane(viewOf([upstream([1])], [secure('none', ['api'])]));
    const bad = secure('none');
    const broken = {
      ...bad,
      tls: {
        ...(bad.tls as NonNullable<Listener['tls']>),
        certificates: [{ certificate: pem('api.crt'), key: pem('local.key') }],
      },
    };
    await expect(plane.activate(viewOf([upstream([1])], [broken], 2))).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    expect(await nameShown(port, 'x')).toBe('api');
  });

  it('to the upstream is verified', async () => {
    const server = https.createServer(
      { cert: pem('local.crt'), key: pem('local.key') },
      (_, response) => response.end('safe'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing(() => void server.close());
    const port = (server.address() as net.AddressInfo).port;
    const plan = (ca: string) =>
      upstream([port], {
        tls: { ca: pem(ca), serverName: 'localhost', insecureSkipVerify: false },
      });
    const good = await startPlane(viewOf([plan('ca.crt')]));
    expect(await (await fetch(`http://127.0.0.1:${good.port}/`)).text()).toBe('safe');
    const bad = await startPlane(viewOf([plan('other.crt')]));
    expect((await fetch(`http://127.0.0.1:${bad.port}/`)).status).toBe(503);
  });

  it('is where plain requests are sent to', async () => {
    const { port } = await startPlane(
      viewOf([upstream([1])], [listener({ redirectToHttps: true })]),
    );
    const caller = await rawCaller(port);
    caller.send(get('/a/../b?c=d'));
    expect(await caller.until(/\r\n\r\n/)).toMatch(
      /^HTTP\/1\.1 308 [^]*location: https:\/\/api\.bibby\.com\/b\?c=d\r\n/,
    );
  });
});
