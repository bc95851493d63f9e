// Takes accepted sockets through the TLS handshake. One acceptor per set of certificates: a new set leaves connections alone, and
// brings new ticket keys, so that no session survives a change of who may come in.
import type { Socket } from 'node:net';
import tls from 'node:tls';
import type { ListenerTls } from '#engine/model/snapshot.ts';
import { readCertificates } from './certificates.ts';
import { spiffeId } from './svid.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface TlsCaller {
  readonly socket: tls.TLSSocket;
  /** `spiffe://...` of a verified client certificate. */
  readonly principal: string | undefined;
}

export class TlsAcceptor {
  private readonly server: tls.Server;

  /** Throws ERR_CONFIG_INVALID for certificates that cannot be used. */
  constructor(plan: ListenerTls, listener: string, onCaller: (caller: TlsCaller) => void) {
    const certificates = readCertificates(plan, listener);
    const mode = plan.clientCertificate?.mode ?? 'none';
    this.server = tls.createServer({
      ...certificates.fallback,
      SNICallback: (name, done) => done(null, certificates.contextFor(name)),
      ALPNProtocols: ['http/1.1'],
      requestCert: mode !== 'none',
      rejectUnauthorized: mode === 'required',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      allowHalfOpen: true,
    });
    this.server.on('secureConnection', (socket) => {
      const presented = mode !== 'none' && socket.getPeerX509Certificate() !== undefined;
      // Optional means that nobody has to show one; what is shown has to be good.
      if (presented && !socket.authorized) {
        socket.destroy();
        return;
      }
      const principal = presented
        ? spiffeId(socket.getPeerX509Certificate()?.raw as Buffer)
        : undefined;
      onCaller({ socket, principal });
    });
    this.server.on('tlsClientError', () => {});
  }

  accept(socket: Socket): void {
    this.server.emit('connection', socket);
  }
}
