// Turns answers into what a person or a script reads.
import Table from 'cli-table3';
import { stringify } from 'yaml';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import type { Colors } from './surroundings.ts';

export const formats = ['table', 'json', 'yaml'] as const;
export type Format = (typeof formats)[number];

/** Columns by white space only, so that the output also serves `awk`. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const grid = new Table({
    head: [...head],
    chars: Object.fromEntries(noLines.map((name) => [name, ''])),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  grid.push(...rows.map((row) => [...row]));
  const lines = grid.toString().split('\n');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
};

const noLines = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
] as const;

export const serialize = (value: unknown, format: 'json' | 'yaml'): string =>
  format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(value);

/** `file:line:column code message`, and the way out below it. */
export const formatDiagnostics = (diagnostics: readonly Diagnostic[], colors: Colors): string =>
  diagnostics
    .map(({ location: at, severity, code, message, hint }) => {
      const place = at ? `${colors.bold(`${at.file}:${at.line}:${at.column}`)} ` : '';
      const paint = severity === 'error' ? colors.red : colors.yellow;
      return `${place}${paint(code)} ${message}\n    ${colors.dim(hint)}\n`;
    })
    .join('');

/** `3s`, `12m`, `5h`, `3d`: one unit is enough to see how old something is. */
export const formatAge = (ms: number): string => {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))}ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`;
  return `${Math.round(seconds / 86_400)}d`;
};

export const formatTime = (ms: number): string =>
  new Date(ms).toISOString().replace('T', ' ').slice(0, 19);

export const formatPercent = (share: number, digits = 2): string =>
  `${(share * 100).toFixed(digits)}%`;

/** Small values as they are, great ones short: `0.42`, `37`, `1.2e+9`. */
export const formatEvidence = (value: number): string => {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : String(value);
  if (value >= 100_000) return value.toExponential(1);
  return value >= 10 ? value.toFixed(0) : value.toFixed(2);
};
