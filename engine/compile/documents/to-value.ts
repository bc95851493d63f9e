// Turns YAML nodes into plain values and notes where each of them stands. Bounded in depth and in size, so that neither
// a self-containing alias nor a bomb of aliases costs more than the limits say.
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml';
import type { DiagnosticCode } from '../../model/diagnostic.ts';
import type { Path } from './path.ts';

export const limits = {
  /** Characters of one file, and of one document. */
  fileLength: 8 * 1024 * 1024,
  documentLength: 1024 * 1024,
  depth: 48,
  /** Lexical tokens: beyond some hundred thousand the parser takes seconds, whatever they mean. */
  tokens: 300_000,
  /** Values in a document, every alias followed. */
  nodes: 100_000,
} as const;

export interface Refused {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly hint: string;
  /** Character of the document; 0 is its start. */
  readonly offset: number;
}

/** By `pathKey`: where the member's name stands, and where its value does. */
export type Offsets = ReadonlyMap<string, readonly [key: number, value: number]>;

export const pathKey = (path: Path): string => {
  let key = '';
  for (const step of path) key += `\0${step}`;
  return key;
};

export const tooDeep = (offset: number): Refused => ({
  code: 'ERR_YAML_TOO_LARGE',
  message: `the document is nested deeper than ${limits.depth} levels`,
  hint: 'No policy needs such depth; look for an alias that contains itself.',
  offset,
});

const tooMany = (offset: number): Refused => ({
  code: 'ERR_YAML_TOO_LARGE',
  message: `the document has more than ${limits.nodes} values, aliases followed`,
  hint: 'Write the values out, or split the document.',
  offset,
});

const syntax = (message: string, hint: string, offset: number): Refused => ({
  code: 'ERR_YAML_SYNTAX',
  message,
  hint,
  offset,
});

export const toValue = (
  root: Node,
): { readonly value: unknown; readonly offsets: Offsets; readonly refused?: Refused } => {
  const walk: Walk = {
    offsets: new Map(),
    anchors: new Map(),
    targets: new Map(),
    nodes: 0,
    refused: undefined,
  };
  const value = visit(walk, root, { key: '', depth: 0, keyAt: undefined, aliasAt: undefined });
  return { value, offsets: walk.offsets, ...(walk.refused && { refused: walk.refused }) };
};

interface Walk {
  readonly offsets: Map<string, readonly [number, number]>;
  /** The latest anchor of a name, in document order. */
  readonly anchors: Map<string, Node>;
  readonly targets: Map<Alias, Node>;
  nodes: number;
  refused: Refused | undefined;
}

interface Place {
  readonly key: string;
  readonly depth: number;
  readonly keyAt: number | undefined;
  /** What an alias brings in is reported where the alias stands, and noted nowhere else. */
  readonly aliasAt: number | undefined;
}

const visit = (walk: Walk, node: Node | null | undefined, place: Place): unknown => {
  const offset = place.aliasAt ?? node?.range?.[0] ?? place.keyAt ?? 0;
  if (!isAffordable(walk, place.depth, offset)) return undefined;
  if (place.aliasAt === undefined) walk.offsets.set(place.key, [place.keyAt ?? offset, offset]);
  if (isAlias(node)) return visitAlias(walk, node, { ...place, aliasAt: offset });
  if (place.aliasAt === undefined) noteAnchor(walk, node);
  if (isSeq(node)) return visitList(walk, node.items, place);
  if (isMap(node)) return visitMap(walk, node.items, place);
  return isScalar(node) ? visitScalar(walk, node.value, offset) : null;
};

const isAffordable = (walk: Walk, depth: number, offset: number): boolean => {
  walk.nodes += 1;
  if (walk.nodes > limits.nodes) walk.refused ??= tooMany(offset);
  if (depth > limits.depth) walk.refused ??= tooDeep(offset);
  return walk.refused === undefined;
};

const noteAnchor = ({ anchors }: Walk, node: Node | null | undefined): void => {
  if (node && 'anchor' in node && node.anchor) anchors.set(node.anchor, node);
};

const visitList = (walk: Walk, items: readonly unknown[], place: Place): unknown[] =>
  items.map((item, index) =>
    visit(walk, item as Node, {
      key: `${place.key}\0${index}`,
      depth: place.depth + 1,
      keyAt: undefined,
      aliasAt: place.aliasAt,
    }),
  );

const visitScalar = (walk: Walk, value: unknown, offset: number): unknown => {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  const text = typeof value === 'number' ? String(value) : typeof value;
  walk.refused = syntax(`${text} is no value for a policy`, 'Quote it.', offset);
  return undefined;
};

const visitAlias = (walk: Walk, alias: Alias, place: Place): unknown => {
  const target = walk.targets.get(alias) ?? walk.anchors.get(alias.source);
  if (target) {
    walk.targets.set(alias, target);
    return visit(walk, target, { ...place, depth: place.depth + 1 });
  }
  walk.refused = syntax(
    `no anchor named "${alias.source}" stands before this alias`,
    'Define it with & first, or quote the text.',
    place.aliasAt ?? 0,
  );
  return undefined;
};

const visitMap = (walk: Walk, pairs: readonly Pair[], place: Place): unknown => {
  const object: Record<string, unknown> = {};
  for (const pair of pairs) {
    const keyAt = place.aliasAt ?? (pair.key as Node | null)?.range?.[0] ?? 0;
    const key = isScalar(pair.key) ? String(pair.key.value) : undefined;
    // An assignment to `__proto__` would set the prototype instead of a member.
    if (key === undefined || key === '__proto__') {
      walk.refused ??= syntax(
        key ? `"${key}" cannot be the name of a field` : 'a mapping or list cannot be a field name',
        'Use a plain name; quote it if it has brackets or braces.',
        keyAt,
      );
      return undefined;
    }
    if (Object.hasOwn(object, key)) {
      walk.refused ??= syntax(`"${key}" is set twice`, 'Keep one of the two.', keyAt);
      return undefined;
    }
    object[key] = visit(walk, pair.value as Node | null, {
      key: `${place.key}\0${key}`,
      depth: place.depth + 1,
      keyAt,
      aliasAt: place.aliasAt,
    });
  }
  return object;
};
