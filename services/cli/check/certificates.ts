// Certificates of Gateways that have run out, or soon will. Files of other machines cannot be seen from here.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { type Finding, ok, warning, wrong } from './finding.ts';

const SOON_MS = 14 * 86_400_000;

export interface PolicyText {
  readonly id: string;
  readonly text: string;
}

interface Pair {
  readonly certificate?: string;
  readonly certificateFile?: string;
}

/** None at all where nothing can be seen. */
export const checkCertificates = (
  resources: readonly PolicyText[],
  nowMs: number,
): readonly Finding[] => {
  const found = resources
    .filter(({ id }) => id.startsWith('Gateway/'))
    .flatMap(({ id, text }) => pairsOf(text).map((pair) => ({ id, pair })))
    .flatMap(({ id, pair }) => {
      const endMs = endOf(pair);
      return endMs === undefined ? [] : [{ id, endMs, name: pair.certificateFile ?? 'inline' }];
    });
  const bad = found.flatMap(({ id, endMs, name }) => {
    const day = new Date(endMs).toISOString().slice(0, 10);
    if (endMs <= nowMs)
      return [wrong('certificates', `${id}: ${name} ran out on ${day}`, 'Renew it.')];
    if (endMs - nowMs < SOON_MS)
      return [warning('certificates', `${id}: ${name} runs out on ${day}`, 'Renew it soon.')];
    return [];
  });
  if (bad.length > 0) return bad;
  return found.length > 0 ? [ok('certificates', `${found.length}, none runs out soon`)] : [];
};

const pairsOf = (text: string): readonly Pair[] => {
  try {
    const { spec } = parse(text) as {
      readonly spec?: {
        readonly listeners?: readonly { readonly tls?: { readonly certificates?: Pair[] } }[];
      };
    };
    return (spec?.listeners ?? []).flatMap(({ tls }) => tls?.certificates ?? []);
  } catch {
    return [];
  }
};

const endOf = ({ certificate, certificateFile }: Pair): number | undefined => {
  try {
    const pem = certificate ?? readFileSync(certificateFile ?? '', 'utf8');
    return new X509Certificate(pem).validToDate.getTime();
  } catch {
    return undefined;
  }
};
