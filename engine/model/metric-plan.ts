// A metric beside the built-in ones: whom to ask or where to read, and which values are good.
export interface MetricPlan {
  readonly name: string;
  readonly source:
    | { readonly type: 'prometheus'; readonly url: string; readonly query: string }
    | { readonly type: 'http'; readonly url: string }
    /** Last part of the subject. */
    | { readonly type: 'nats'; readonly subject: string }
    | ({ readonly type: 'response' } & Omit<Measure, 'metric'>);
  readonly min?: number;
  readonly max?: number;
  /** Of the old version's value of the same metric. */
  readonly minRatio?: number;
  readonly maxRatio?: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** So many bad values in a row are borne; one more rolls back. */
  readonly failureLimit: number;
}

/** A number that the answers of a service carry. */
export interface Measure {
  readonly metric: string;
  readonly part: 'header' | 'trailer';
  /** Lower case. */
  readonly name: string;
  /** Smallest and largest value there is; others are not believed. */
  readonly from: number;
  readonly to: number;
  /** Callers do not get to see it. */
  readonly strip: boolean;
}

/** What came of asking once. A value that is absent could not be had; `problem` says why. */
export interface MetricReading {
  readonly metric: string;
  readonly baseline: string;
  readonly canary: string;
  readonly atMs: number;
  readonly value?: number;
  readonly baselineValue?: number;
  readonly problem?: string;
}

/** Values that queries and addresses may name as `{{service}}`. */
export const metricVariables = [
  'service',
  'namespace',
  'version',
  'baseline',
  'canary',
  'interval',
] as const;
export type MetricVariable = (typeof metricVariables)[number];

const variable = /\{\{\s*([A-Za-z]+)\s*\}\}/g;

export const fillIn = (
  template: string,
  values: Readonly<Record<MetricVariable, string>>,
): string =>
  template.replace(variable, (whole, name: string) =>
    Object.hasOwn(values, name) ? values[name as MetricVariable] : whole,
  );

/** Names in double braces that mean nothing. */
export const unknownVariables = (template: string): readonly string[] =>
  [...template.matchAll(variable)]
    .map(([, name]) => name ?? '')
    .filter((name) => !metricVariables.includes(name as MetricVariable));
