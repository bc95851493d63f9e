// HTTP/2 and gRPC: what every data plane that claims them keeps to.
import http2 from 'node:http2';
import type net from 'node:net';
import { expect } from 'vitest';
import type { Feature } from '#engine/model/features.ts';
import type { ForwardAction, Upstream } from '#engine/model/snapshot.ts';
import { upstreamAt } from './data-plane-world.ts';

export interface Http2World {
  readonly can: (features: readonly Feature[], title: string, test: () => Promise<void>) => void;
  /** Everything goes to `service`, or to one that echoes. */
  readonly serve: (action?: Partial<ForwardAction>, service?: Upstream) => Promise<void>;
  readonly port: () => number;
}

interface Told {
  readonly headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly text: string;
}

const GRPC = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

const withCaller = async <T>(
  port: number,
  use: (session: http2.ClientHttp2Session) => Promise<T>,
): Promise<T> => {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  try {
    return await use(session);
  } finally {
    session.destroy();
  }
};

const toldBy = (stream: http2.ClientHttp2Stream): Promise<Told> =>
  new Promise((resolve, reject) => {
    let headers = {};
    let trailers = {};
    let text = '';
    stream.on('response', (fields) => (headers = fields));
    stream.on('trailers', (fields) => (trailers = fields));
    stream.on('data', (chunk) => (text += chunk));
    stream.on('error', reject);
    stream.on('end', () => resolve({ headers, trailers, text }));
  });

const request = (
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<Told> => {
  const stream = session.request(
    { ':authority': 'api.bibby.com', ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  return toldBy(stream);
};

const withService = async (
  answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  use: (port: number) => Promise<void>,
): Promise<void> => {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    stream.on('error', () => {});
    answer(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await use((server.address() as net.AddressInfo).port);
  } finally {
    for (const session of sessions) session.destroy();
    server.close();
  }
};

export const http2Cases = ({ can, serve, port }: Http2World): void => {
  can(['http2'], 'serves callers of HTTP/2, many requests at a time', async () => {
    await serve();
    await withCaller(port(), async (session) => {
      const told = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          request(session, { ':path': `/books/${i}`, ':method': 'POST', 'x-a': '1' }, 'hello'),
        ),
      );
      for (const [i, { headers, text }] of told.entries()) {
        expect(headers[':status']).toBe(200);
        expect(JSON.parse(text)).toMatchObject({ url: `/books/${i}`, body: 'hello' });
      }
    });
  });

  can(['upstream-http2'], 'passes bodies of HTTP/2 on as they come, both ways', async () => {
    await withService(
      (stream) => {
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
      },
      async (servicePort) => {
        await serve({}, upstreamAt('bibby/a', [servicePort], { protocol: 'http2' }));
        await withCaller(port(), async (session) => {
          const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'a.b' });
          const seen: string[] = [];
          stream.on('data', (chunk) => seen.push(String(chunk)));
          for (const word of ['one', 'two', 'three']) {
            stream.write(word);
            await expect.poll(() => seen.join('')).toContain(word);
          }
          stream.end();
        });
      },
    );
  });

  can(['grpc'], 'passes calls of gRPC on, with the status at the end', async () => {
    await withService(
      (stream, headers) => {
        const wanted = headers[':path'] === '/a.B/Fail' ? '13' : '0';
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc' },
          { waitForTrailers: true },
        );
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': wanted }));
        stream.end('message');
      },
      async (servicePort) => {
        await serve({}, upstreamAt('bibby/a', [servicePort], { protocol: 'grpc' }));
        await withCaller(port(), async (session) => {
          const good = await request(session, { ...GRPC, ':path': '/a.B/Good' }, 'question');
          expect(good).toMatchObject({ text: 'message', trailers: { 'grpc-status': '0' } });
          const bad = await request(session, { ...GRPC, ':path': '/a.B/Fail' }, 'question');
          expect(bad).toMatchObject({ trailers: { 'grpc-status': '13' } });
        });
      },
    );
  });

  can(['grpc'], 'answers calls of gRPC in their own words when nobody else can', async () => {
    await serve({}, upstreamAt('bibby/a', [1], { protocol: 'grpc' }));
    await withCaller(port(), async (session) => {
      const { headers, text } = await request(session, { ...GRPC, ':path': '/a.B/Good' }, 'q');
      expect(headers).toMatchObject({ ':status': 200, 'grpc-status': '14' });
      expect(text).toBe('');
    });
  });
};
