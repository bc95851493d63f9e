import type { Gateway } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { isAddressBlock } from './addresses.ts';
import { checkTls } from './check-listener-tls.ts';
import { atMostOne, duplicates, exactlyOne } from './conflicts.ts';

type ListenerSpec = Gateway['spec']['listeners'][number];

export const checkGateway = ({ spec }: Gateway): readonly Finding[] => [
  ...duplicates(
    spec.listeners.map(({ name }) => name),
    'listeners',
    (index) => ['spec', 'listeners', index, 'name'],
  ),
  ...portConflicts(spec.listeners),
  ...spec.listeners.flatMap((listener, index) =>
    checkListener(listener, ['spec', 'listeners', index]),
  ),
  ...checkBlocks(spec.trustedProxies, ['spec', 'trustedProxies']),
  ...checkBlocks(spec.decisionHeader?.ipBlocks ?? [], ['spec', 'decisionHeader', 'ipBlocks']),
];

const checkBlocks = (blocks: readonly string[], path: Path): readonly Finding[] =>
  blocks.flatMap((block, index): Finding[] =>
    isAddressBlock(block)
      ? []
      : [
          {
            code: 'ERR_FIELD_VALUE',
            path: [...path, index],
            message: `"${block}" is no address and no CIDR block`,
            hint: 'Write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32.',
          },
        ],
  );

/** Listeners of one port are told apart by host, before or after the handshake. */
const mayShare = (one: ListenerSpec, other: ListenerSpec): boolean =>
  one.address === other.address &&
  one.protocol !== 'TCP' &&
  other.protocol !== 'TCP' &&
  (one.protocol === 'HTTP') === (other.protocol === 'HTTP') &&
  (one.hostname ?? '*') !== (other.hostname ?? '*') &&
  (one.proxyProtocol ?? false) === (other.proxyProtocol ?? false);

const isEverywhere = (address: string): boolean => address === '0.0.0.0' || address === '::';

const portConflicts = (listeners: readonly ListenerSpec[]): readonly Finding[] =>
  listeners.flatMap((listener, index): Finding[] => {
    const other = listeners
      .slice(0, index)
      .find(
        (one) =>
          one.port === listener.port &&
          !mayShare(one, listener) &&
          (one.address === listener.address ||
            isEverywhere(one.address) ||
            isEverywhere(listener.address)),
      );
    if (!other) return [];
    return [
      {
        code: 'ERR_POLICY_PORT_CONFLICT',
        path: ['spec', 'listeners', index, 'port'],
        message: `listeners "${other.name}" and "${listener.name}" both want port ${listener.port}`,
        hint: 'One listener serves many hosts: name them in Routes, and its certificates by serverNames. Listeners that differ in hostname may share a port, unless one is plain and the other encrypted.',
      },
    ];
  });

const checkListener = (listener: ListenerSpec, path: Path): readonly Finding[] => [
  ...checkTls(listener, path),
  ...checkBackend(listener, path),
  ...(listener.tls?.certificates ?? []).flatMap((certificate, index) => {
    const at = [...path, 'tls', 'certificates', index];
    return [
      ...exactlyOne(certificate, ['certificate', 'certificateFile'], at),
      ...exactlyOne(certificate, ['key', 'keyFile'], at),
    ];
  }),
  ...atMostOne(
    listener.tls?.clientCertificate ?? {},
    ['ca', 'caFile'],
    [...path, 'tls', 'clientCertificate'],
  ),
];

const checkBackend = ({ protocol, backend }: ListenerSpec, path: Path): readonly Finding[] => {
  const isRaw = protocol === 'TCP' || protocol === 'TLS';
  if (isRaw === (backend !== undefined)) return [];
  return [
    isRaw
      ? {
          code: 'ERR_FIELD_MISSING',
          path: [...path, 'backend'],
          message: `a ${protocol} listener needs a backend`,
          hint: 'Name the Service to forward to.',
        }
      : {
          code: 'ERR_FIELD_CONFLICT',
          path: [...path, 'backend'],
          part: 'key',
          message: `an ${protocol} listener takes its backends from Routes`,
          hint: 'Leave backend out and write a Route.',
        },
  ];
};
