import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';

/** Nothing if exactly one of the members is set. */
export const exactlyOne = (
  holder: Readonly<Record<string, unknown>>,
  members: readonly string[],
  path: Path,
): readonly Finding[] => {
  const set = members.filter((name) => holder[name] !== undefined);
  const choices = members.join(', ');
  if (set.length === 0)
    return [
      {
        code: 'ERR_FIELD_MISSING',
        path,
        message: `one of ${choices} is needed here`,
        hint: 'Set exactly one of them.',
      },
    ];
  return atMostOne(holder, members, path);
};

export const atMostOne = (
  holder: Readonly<Record<string, unknown>>,
  members: readonly string[],
  path: Path,
): readonly Finding[] => {
  const set = members.filter((name) => holder[name] !== undefined && holder[name] !== false);
  if (set.length < 2) return [];
  return [
    {
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, set[1] ?? ''],
      part: 'key',
      message: `${set.join(' and ')} exclude each other`,
      hint: 'Keep one of them.',
    },
  ];
};

/** One finding per name that occurs again. */
export const duplicates = (
  names: readonly string[],
  what: string,
  pathOf: (index: number) => Path,
): readonly Finding[] => {
  const first = new Map<string, number>();
  const findings: Finding[] = [];
  for (const [index, name] of names.entries()) {
    if (first.has(name))
      findings.push({
        code: 'ERR_RESOURCE_DUPLICATE',
        path: pathOf(index),
        message: `there are two ${what} named "${name}"`,
        hint: 'Give each a name of its own.',
      });
    else first.set(name, index);
  }
  return findings;
};
