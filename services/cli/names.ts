// How people may write kinds and names on the command line.
import { type Kind, kinds } from '#engine/model/resource.ts';
import { CliError, exitCodes } from './exit.ts';

/** `route`, `Routes` and `ROUTE` are all Route. */
export const parseKind = (text: string): Kind => {
  const word = text.toLowerCase();
  const kind = kinds.find(
    (name) => word === name.toLowerCase() || word === `${name.toLowerCase()}s`,
  );
  if (!kind)
    throw new CliError(exitCodes.usage, `There is no kind "${text}".`, {
      hint: `Kinds: ${kinds.join(', ')}`,
    });
  return kind;
};

/** `catalog` or `bibby/catalog`; what stands in the name wins over `--namespace`. */
export const parseName = (
  text: string,
  namespace: string | undefined,
): { readonly namespace: string | undefined; readonly name: string } => {
  const parts = text.split('/');
  const [first = '', second] = parts;
  if (parts.length > 2 || !first || second === '')
    throw new CliError(exitCodes.usage, `"${text}" is not NAME or NAMESPACE/NAME.`);
  return second === undefined ? { namespace, name: first } : { namespace: first, name: second };
};

/** `30s`, `500ms`, `5m`; a bare number is seconds. */
export const parseMs = (text: string): number => {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?$/.exec(text);
  if (!match) throw new CliError(exitCodes.usage, `"${text}" is not a duration such as 30s or 5m.`);
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 's'] ?? 1000;
  return Math.round(Number(match[1]) * unit);
};
