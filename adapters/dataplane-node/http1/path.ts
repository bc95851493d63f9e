// One canonical path for routing, authorization, quotas, logs and the upstream. Levels as Istio's.

export interface PathPolicy {
  readonly normalization: 'None' | 'Base' | 'MergeSlashes' | 'DecodeAndMergeSlashes';
  readonly encodedSlash: 'reject' | 'keep' | 'decode';
}

/** Anything that a canonical path may not contain, or that needs a closer look. */
const UNUSUAL = /[%\\;]|\/\/|\/\./;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})|%00/;
const ENCODED_SLASH = /%(?:2f|5c)/gi;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;
/** `..;x` and `.;x`, also with the semicolon encoded: some servers strip the parameter and then see a dot segment. */
const DOT_PARAMETER = /(?:^|\/)\.{1,2}(?:;|%3B)/;

const decodeUnreserved = (path: string): string =>
  path.replaceAll(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });

/** RFC 3986 5.2.4; a path never climbs above the root. */
const removeDotSegments = (path: string): string => {
  const kept: string[] = [];
  const segments = path.split('/');
  const last = segments.length - 1;
  for (let i = 1; i <= last; i++) {
    const segment = segments[i] as string;
    if (segment === '..') kept.pop();
    else if (segment !== '.') kept.push(segment);
    if (i === last && (segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}`;
};

/** The canonical form of an origin-form path; undefined when the policy refuses it. */
export const canonicalPath = (path: string, policy: PathPolicy): string | undefined => {
  if (!UNUSUAL.test(path)) return path;
  if (BAD_ESCAPE.test(path)) return undefined;
  const decodes =
    policy.encodedSlash === 'decode' || policy.normalization === 'DecodeAndMergeSlashes';
  let result = path;
  if (/%(?:2f|5c)/i.test(result)) {
    if (decodes) result = result.replaceAll(ENCODED_SLASH, '/');
    else if (policy.encodedSlash === 'reject') return undefined;
  }
  if (policy.normalization === 'None') return result;
  result = decodeUnreserved(result).replaceAll('\\', '/');
  if (DOT_PARAMETER.test(result)) return undefined;
  if (policy.normalization !== 'Base') result = result.replaceAll(/\/{2,}/g, '/');
  if (/\/\.{1,2}(?:\/|$)/.test(result)) result = removeDotSegments(result);
  return policy.normalization === 'Base' ? result : result.replaceAll(/\/{2,}/g, '/');
};
