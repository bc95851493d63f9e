// An explanation as text: what happens, which rule decided it, who had a say, and why the others lost.
import type { NamedMatch } from '#engine/model/snapshot.ts';
import type { ExplainedRule, ExplainedSplit, Explanation } from '#engine/pipeline/explain.ts';
import type { Colors } from './surroundings.ts';

export type Explained = Explanation & { readonly scope: string };

export const showExplanation = (answer: Explained, colors: Colors): string => {
  const { scope, revision, rule, rivals, filters, splits } = answer;
  const lines = [
    ...outcome(answer, colors),
    '',
    `decided by  ${scope} at revision ${revision}`,
    `host        ${answer.host ? hostName(answer.host) : 'no host entry covers it'}`,
    `route       ${rule ? describeRule(rule, colors) : 'none matches'}`,
    ...caller(answer),
    ...splits.map((split) => describeSplit(split)),
  ];
  if (filters.length > 0) lines.push('', 'policies, in the order in which the request meets them:');
  for (const { filter, reached, remarks } of filters) {
    if (!reached) lines.push(colors.dim(`  ${filter}: not reached`));
    else if (remarks.length === 0) lines.push(`  ${filter}: nothing to say`);
    else
      for (const { policy, mode, says } of remarks)
        lines.push(`  ${filter}: ${colors.bold(policy)} [${mode}] ${says}`);
  }
  if (rivals.length > 0) lines.push('', 'routes that did not get it:');
  for (const rival of rivals)
    lines.push(`  ${describeRule(rival, colors)}`, `      lost: ${rival.lost}`);
  return `${lines.join('\n')}\n`;
};

const outcome = ({ outcome: end }: Explained, colors: Colors): string[] => {
  if (end.type === 'respond') {
    const paint = end.status >= 400 ? colors.red : colors.green;
    const { policy, rule, reason } = end.notes;
    const place = rule === undefined ? (reason ?? '') : `rule ${rule}`;
    return [
      `${paint(`${end.status} ${end.error}`.trimEnd())}${said(end)}`,
      ...(policy === undefined ? [] : [`refused by  ${colors.bold(policy)} ${place}`.trimEnd()]),
    ];
  }
  const version = end.version ? ` ${end.version}` : '';
  const lines = [
    `${colors.green('forward')} to ${colors.bold(end.service)}${version} as ${end.target}`,
  ];
  for (const [name, value] of pairs(end.setHeaders)) lines.push(`  with ${name}: ${value}`);
  if (end.removeHeaders.length > 0) lines.push(`  without ${end.removeHeaders.join(', ')}`);
  if (end.delayMs > 0) lines.push(`  after ${end.delayMs} ms (injected)`);
  return lines;
};

/** Answers that are no refusals have neither reason nor flag. */
const said = ({ reason, flag }: { readonly reason: string; readonly flag: string }): string =>
  (reason ? `: ${reason}` : '') + (flag ? ` (${flag})` : '');

function* pairs(flat: readonly string[]): Generator<readonly [string, string]> {
  for (let i = 0; i + 1 < flat.length; i += 2) yield [flat[i] ?? '', flat[i + 1] ?? ''];
}

const hostName = ({ type, host }: NonNullable<Explained['host']>): string => {
  if (type === 'any') return 'any';
  return type === 'exact' ? host : `*.${host}`;
};

const describeRule = ({ id, origin, place, match }: ExplainedRule, colors: Colors): string => {
  const from = origin.file ? `  ${origin.file}:${origin.line ?? 1}` : '';
  const conditions = [
    `${match.path.type} ${match.path.value}`,
    ...(match.methods.length > 0 ? [match.methods.join('|')] : []),
    ...match.headers.map((header) => condition('header', header)),
    ...match.query.map((parameter) => condition('query', parameter)),
    ...match.cookies.map((cookie) => condition('cookie', cookie)),
  ];
  return `${colors.bold(id)}  place ${place}: ${conditions.join(', ')}${colors.dim(from)}`;
};

const condition = (what: string, { name, match, not }: NamedMatch): string => {
  const value = match.type === 'present' ? 'present' : `${match.type} ${match.value}`;
  return `${not ? 'not ' : ''}${what} ${name} ${value}`;
};

const caller = ({ caller: who }: Explained): string[] => {
  if (!who) return [];
  const name = who.principal ?? who.consumer ?? 'nobody is authenticated';
  const groups = who.groups.length > 0 ? ` in ${who.groups.join(', ')}` : '';
  return [`caller      ${name}${groups}`];
};

const describeSplit = ({ service, choices, override, chosenBy }: ExplainedSplit): string => {
  const shares = choices.map(
    ({ version, weight, endpoints }) => `${version} ${weight / 100}% (${endpoints} endpoints)`,
  );
  const header = override
    ? `; ${override.header}: ${override.value} asks for ${override.version}`
    : '';
  return `split       ${service}: ${shares.join(', ')}; chosen by ${chosenBy}${header}`;
};
