// Callers and services that speak HTTP/2.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closing } from '../support.ts';

export interface Answer {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly trailers: http2.IncomingHttpHeaders;
  readonly text: string;
  /** Of the reset, if there was one. */
  readonly code: number;
}

export const connect = (
  port: number,
  options: http2.SecureClientSessionOptions & { readonly scheme?: 'http' | 'https' } = {},
): http2.ClientHttp2Session => {
  const session = http2.connect(`${options.scheme ?? 'http'}://127.0.0.1:${port}`, options);
  session.on('error', () => {});
  closing(() => session.destroy());
  return session;
};

/** The whole answer. A reset is no error here: `code` tells of it. */
export const answerOf = (stream: http2.ClientHttp2Stream): Promise<Answer> =>
  new Promise((resolve) => {
    let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {};
    let trailers: http2.IncomingHttpHeaders = {};
    let text = '';
    stream.on('response', (fields) => {
      headers = fields;
    });
    stream.on('trailers', (fields) => {
      trailers = fields;
    });
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    stream.on('error', () => {});
    stream.on('close', () =>
      resolve({ status: headers[':status'] ?? 0, headers, trailers, text, code: stream.rstCode }),
    );
  });

export const call = (
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders = {},
  body?: string,
): Promise<Answer> => {
  const stream = session.request(
    { ':authority': 'api.bibby.com', ...headers },
    { endStream: body === undefined },
  );
  if (body !== undefined) stream.end(body);
  return answerOf(stream);
};

export interface Service {
  readonly port: number;
  readonly sessions: Set<http2.ServerHttp2Session>;
  /** Heads received. */
  readonly heads: http2.IncomingHttpHeaders[];
}

export const service = async (
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
  options: http2.ServerOptions = {},
  tls?: { readonly cert: string; readonly key: string },
): Promise<Service> => {
  const server = tls
    ? http2.createSecureServer({ ...options, ...tls })
    : http2.createServer(options);
  const sessions = new Set<http2.ServerHttp2Session>();
  const heads: http2.IncomingHttpHeaders[] = [];
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
    heads.push(headers);
    stream.on('error', () => {});
    onStream(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, sessions, heads };
};

/** For 127.0.0.1, signed by itself. */
export const testCertificate = (): { readonly certificate: string; readonly key: string } => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-h2-'));
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'].concat(
        ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2'],
        ['-keyout', 'key.pem', '-out', 'cert.pem'],
      ),
      { cwd: folder, stdio: 'ignore' },
    );
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    return { certificate: read('cert.pem'), key: read('key.pem') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
