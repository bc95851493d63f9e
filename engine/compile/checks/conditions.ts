// Conditions and operations of an Authorization that could never mean what they say. A value that matches nothing is an open
// door in a DENY policy, so none gets through unread.
import type { Authorization } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { isAddressBlock } from './addresses.ts';

type RuleSpec = Authorization['spec']['rules'][number];
type ConditionSpec = NonNullable<RuleSpec['when']>[number];
type OperationSpec = NonNullable<RuleSpec['to']>[number]['operation'];
type ValueKind = 'text' | 'block' | 'port' | 'unknown';

const texts: ReadonlySet<string> = new Set([
  'source.principal',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'request.auth.consumer',
  'request.auth.groups',
  'request.method',
  'request.path',
  'request.host',
  'connection.sni',
]);
const addresses: ReadonlySet<string> = new Set(['source.ip', 'remote.ip', 'destination.ip']);
const named = /^request\.(headers\[[^\][\s]+\]|auth\.claims(\[[^\][]+\])+)$/;

export const checkCondition = (condition: ConditionSpec, path: Path): readonly Finding[] => {
  const { key } = condition;
  const kind = kindOf(key);
  if (kind === 'unknown') return [unknownKey(key, [...path, 'key'])];
  const findings: Finding[] = [];
  for (const list of ['values', 'notValues'] as const)
    for (const [index, value] of (condition[list] ?? []).entries()) {
      const at = [...path, list, index];
      if (kind === 'block') findings.push(...checkBlock(value, at));
      if (kind === 'port') findings.push(...checkPort(value, at));
    }
  return findings;
};

const kindOf = (key: string): ValueKind => {
  if (addresses.has(key)) return 'block';
  if (key === 'destination.port') return 'port';
  return texts.has(key) || named.test(key) ? 'text' : 'unknown';
};

const unknownKey = (key: string, path: Path): Finding => {
  if (key.startsWith('experimental.'))
    return {
      code: 'ERR_POLICY_NOT_SUPPORTED',
      path,
      message: `${key} is about a filter of Envoy, which no data plane of Weir has`,
      hint: 'Say it with request.headers[...], request.auth.claims[...] or a condition in CEL.',
    };
  return {
    code: 'ERR_FIELD_VALUE',
    path,
    message: `"${key}" is no attribute of a request`,
    hint: 'For example request.headers[name], request.auth.claims[roles], source.ip or remote.ip.',
  };
};

export const checkBlock = (block: string, path: Path): readonly Finding[] =>
  isAddressBlock(block)
    ? []
    : [
        {
          code: 'ERR_FIELD_VALUE',
          path,
          message: `"${block}" is no address and no CIDR block`,
          hint: 'Write 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32.',
        },
      ];

export const checkOperation = (operation: OperationSpec, path: Path): readonly Finding[] => {
  const each = (
    lists: readonly (keyof OperationSpec)[],
    check: (value: string, at: Path) => readonly Finding[],
  ) =>
    lists.flatMap((list) =>
      (operation[list] ?? []).flatMap((value, index) => check(value, [...path, list, index])),
    );
  return [
    ...each(['ports', 'notPorts'], checkPort),
    ...each(['methods', 'notMethods'], checkMethod),
    ...each(['paths', 'notPaths'], checkPath),
  ];
};

const checkPort = (value: string, path: Path): readonly Finding[] =>
  /^[0-9]{1,5}$/.test(value) && Number(value) <= 65_535
    ? []
    : [never(value, path, 'Write the number of a port, such as "8080".')];

const methods = new Set('GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT'.split(' '));

const checkMethod = (value: string, path: Path): readonly Finding[] => {
  const upper = value.toUpperCase();
  return value !== upper && methods.has(upper)
    ? [never(value, path, `Methods are in capitals: ${upper}.`)]
    : [];
};

const checkPath = (value: string, path: Path): readonly Finding[] => {
  if (!value.startsWith('/') && !value.startsWith('*') && !value.startsWith('{'))
    return [never(value, path, 'Begin it with / or *.')];
  if (value.includes('?') || value.includes('#'))
    return [never(value, path, 'Paths are compared without the query: leave it out.')];
  if (/[{}]/.test(value) && !isTemplate(value))
    return [
      never(
        value,
        path,
        '{*} stands for one segment, {**} for any number, once and behind all others; no other * beside them.',
      ),
    ];
  return [];
};

const isTemplate = (value: string): boolean => {
  const segments = value.split('/');
  const rest = segments.indexOf('{**}');
  return segments.every((segment, index) =>
    segment === '{*}'
      ? rest === -1 || index < rest
      : segment === '{**}'
        ? index === rest
        : !/[{}*]/.test(segment),
  );
};

const never = (value: string, path: Path, hint: string): Finding => ({
  code: 'ERR_FIELD_VALUE',
  path,
  message: `"${value}" would never match`,
  hint,
});
