// Whether the protocol of a listener and its TLS settings fit together.
import type { Gateway } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';

type ListenerSpec = Gateway['spec']['listeners'][number];

export const checkTls = (listener: ListenerSpec, path: Path): readonly Finding[] => {
  const at = [...path, 'tls'];
  switch (listener.protocol) {
    case 'HTTP':
    case 'TCP':
      return listener.tls ? [unwanted(listener, at)] : [];
    case 'HTTPS':
      return listener.tls?.mode === 'Passthrough' ? [unreadable(at)] : certified(listener, at);
    case 'TLS':
      return passesThrough(listener) ? undecrypted(listener, at) : certified(listener, at);
    default:
      return listener.protocol satisfies never;
  }
};

/** A TLS listener without `tls` does, too. */
const passesThrough = ({ tls }: ListenerSpec): boolean =>
  tls === undefined || tls.mode === 'Passthrough';

const unwanted = ({ protocol }: ListenerSpec, path: Path): Finding => ({
  code: 'ERR_FIELD_CONFLICT',
  path,
  part: 'key',
  message: `${protocol === 'HTTP' ? 'an' : 'a'} ${protocol} listener has no tls`,
  hint: `Use protocol ${protocol === 'HTTP' ? 'HTTPS' : 'TLS'}, or leave tls out.`,
});

const unreadable = (path: Path): Finding => ({
  code: 'ERR_FIELD_CONFLICT',
  path: [...path, 'mode'],
  message: 'an HTTPS listener cannot pass through what it has to read',
  hint: 'Use protocol TLS with a backend, or mode Terminate.',
});

const certified = ({ name, protocol, tls }: ListenerSpec, path: Path): readonly Finding[] =>
  (tls?.certificates ?? []).length > 0
    ? []
    : [
        {
          code: 'ERR_POLICY_LISTENER_TLS',
          path,
          message: `the ${protocol} listener "${name}" has no certificate`,
          hint: 'Give tls.certificates a certificate and a key, inline or as files.',
        },
      ];

const undecrypted = ({ tls }: ListenerSpec, path: Path): readonly Finding[] =>
  (tls?.certificates ?? []).length === 0 && !tls?.clientCertificate
    ? []
    : [
        {
          code: 'ERR_FIELD_CONFLICT',
          path: [...path, 'mode'],
          message: 'what is passed through is neither decrypted nor asked for certificates here',
          hint: 'Use mode Terminate, or leave the certificates out.',
        },
      ];
