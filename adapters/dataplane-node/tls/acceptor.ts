// Takes accepted sockets through the TLS handshake. One acceptor per set of certificates and rules: a new set leaves connections
// alone, and brings new ticket keys, so that no session survives a change of who may come in, or opens another entrance.
import { hash } from 'node:crypto';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { ListenerTls } from '#engine/model/snapshot.ts';
import type { PeerNames } from '#engine/pipeline/exchange.ts';
import { readCertificates } from './certificates.ts';
import { peerNames } from './peer-names.ts';
import { spiffeId } from './svid.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface TlsCaller {
  readonly socket: tls.TLSSocket;
  /** `spiffe://...` of a verified client certificate. */
  readonly principal: string | undefined;
  /** Its other names. */
  readonly names: PeerNames | undefined;
}

export interface AcceptorOptions {
  readonly plan: ListenerTls;
  /** For complaints. */
  readonly listener: string;
  /** Best first; empty: the protocol inside is not asked about. */
  readonly alpn: readonly string[];
  /** Of the entrance; sessions are good for it only. */
  readonly identity: string;
  readonly now: () => number;
}

type OnCaller = (caller: TlsCaller) => void;

export class TlsAcceptor {
  private readonly server: tls.Server;
  private readonly mode: 'none' | 'optional' | 'required';
  private readonly now: () => number;
  /** By the caller's address and port: who waits for the end of a handshake. */
  private readonly waiting = new Map<string, OnCaller>();

  /** Throws ERR_CONFIG_INVALID for certificates that cannot be used. */
  constructor({ plan, listener, alpn, identity, now }: AcceptorOptions) {
    const certificates = readCertificates(plan, listener);
    this.mode = plan.clientCertificate?.mode ?? 'none';
    this.now = now;
    this.server = tls.createServer({
      ...certificates.fallback,
      SNICallback: (name, done) => done(null, certificates.contextFor(name)),
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
      requestCert: this.mode !== 'none',
      rejectUnauthorized: this.mode === 'required',
      sessionIdContext: hash('sha256', identity).slice(0, 32),
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      allowHalfOpen: true,
    });
    this.server.on('secureConnection', (socket) => this.onSecure(socket));
    this.server.on('tlsClientError', () => {});
  }

  /** Either calls back, or closes the socket. */
  accept(socket: Socket, onCaller: OnCaller): void {
    const key = nameOf(socket);
    this.waiting.set(key, onCaller);
    socket.on('close', () => {
      if (this.waiting.get(key) === onCaller) this.waiting.delete(key);
    });
    this.server.emit('connection', socket);
  }

  private onSecure(socket: tls.TLSSocket): void {
    const key = nameOf(socket);
    const onCaller = this.waiting.get(key);
    this.waiting.delete(key);
    const certificate = this.mode === 'none' ? undefined : socket.getPeerX509Certificate();
    if (!onCaller || !this.mayEnter(socket, certificate?.validToDate)) {
      socket.destroy();
      return;
    }
    onCaller({
      socket,
      principal: certificate && spiffeId(certificate.raw),
      names: certificate && peerNames(certificate.raw),
    });
  }

  /**
   * Optional means that nobody has to show a certificate; what is shown has to be good. A resumed session shows the one that it
   * began with: it was verified then, and may have run out since.
   */
  private mayEnter(socket: tls.TLSSocket, validTo: Date | undefined): boolean {
    if (validTo === undefined) return this.mode !== 'required';
    return socket.authorized && validTo.getTime() > this.now();
  }
}

const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
