// What the compiler made of documents, in lines that can be read and compared.
import { formatDiagnostic } from '#engine/model/diagnostic.ts';
import type { HostEntry, NamedMatch, Rule, Snapshot } from '#engine/model/snapshot.ts';
import type { Outcome } from './surroundings.ts';

export const describeOutcome = ({ diagnostics, compiled }: Outcome): string => {
  const lines = [...diagnostics, ...compiled.diagnostics].map(formatDiagnostic);
  if (compiled.quarantined.length > 0)
    lines.push(`quarantined: ${compiled.quarantined.join(', ')}`);
  for (const [scope, snapshot] of compiled.snapshots) lines.push(...describeScope(scope, snapshot));
  if (compiled.snapshots.size === 0) lines.push('nothing in force');
  return lines.join('\n');
};

const describeScope = (scope: string, snapshot: Snapshot): readonly string[] => [
  scope,
  ...snapshot.hosts.flatMap((entry) => [
    `  ${describeHost(entry)}`,
    ...entry.rules.map((index) => {
      const rule = snapshot.rules[index];
      return rule ? `    ${describeRule(rule)}` : `    rule ${index} is missing`;
    }),
  ]),
];

const describeHost = ({ type, host, listeners }: HostEntry): string => {
  const names = {
    exact: host,
    oneLabel: `*.${host} (one label)`,
    manyLabels: `*.${host}`,
    any: '*',
  };
  return listeners.length === 0 ? names[type] : `${names[type]} on ${listeners.join(', ')}`;
};

const describeRule = ({ id, match, action, ...rule }: Rule): string => {
  const conditions = [
    `${match.path.type} ${match.path.value}`,
    match.methods.join('|'),
    ...match.headers.map((one) => `header ${describeNamed(one)}`),
    ...match.query.map((one) => `query ${describeNamed(one)}`),
    ...match.cookies.map((one) => `cookie ${describeNamed(one)}`),
  ].filter((text) => text !== '');
  const policies = [...rule.authentications, ...rule.authorizations, ...rule.quotas];
  const suffix = policies.length > 0 ? `  [${policies.join(', ')}]` : '';
  return `${id}: ${conditions.join(' ')} -> ${describeAction(action)}${suffix}`;
};

const describeNamed = ({ name, match, not }: NamedMatch): string =>
  `${name}${not ? ' not' : ''} ${match.type}${'value' in match ? ` ${match.value}` : ''}`;

const describeAction = (action: Rule['action']): string => {
  if (action.type === 'respond') return `${action.status} ${action.body}`.trim();
  if (action.type === 'redirect') return `redirect ${action.status}`;
  return action.backends
    .map((backend) => {
      const target = 'split' in backend ? `split ${backend.split}` : backend.upstream;
      return `${target} x${backend.weight}`;
    })
    .join(', ');
};
