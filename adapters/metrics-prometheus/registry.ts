// Counters, gauges and histograms in Prometheus' text format, with a bound on the series of each family.
export type Labels = Readonly<Record<string, string>>;

export interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  /** Upper bounds of a histogram's buckets, ascending, without infinity. */
  readonly bounds?: readonly number[];
  /** How many series it may have before the rest is counted in one; default as the registry says. */
  readonly limit?: number;
}

/** Observations already sorted into buckets: `counts[i]` between bound i-1 and bound i, the last one beyond all bounds. */
export interface Observations {
  readonly counts: readonly number[];
  readonly sum: number;
}

interface Series {
  value: number;
  readonly counts: number[];
}

/** Value of every label of the series that takes what exceeds the bound. */
const OVERFLOW = 'overflow';

export class Registry<Name extends string> {
  readonly #families: ReadonlyMap<Name, Family>;
  readonly #series = new Map<Name, Map<string, Series>>();
  readonly #limit: number;

  /** `seriesLimit`: how many series a family may have before the rest is counted in one. */
  constructor(families: Readonly<Record<Name, Family>>, seriesLimit = 2000) {
    this.#families = new Map(Object.entries(families) as [Name, Family][]);
    this.#limit = seriesLimit;
    for (const name of this.#families.keys()) this.#series.set(name, new Map());
  }

  add(name: Name, by = 1, labels: Labels = {}): void {
    this.#find(name, labels).value += by;
  }

  set(name: Name, value: number, labels: Labels = {}): void {
    this.#find(name, labels).value = value;
  }

  observe(name: Name, { counts, sum }: Observations, labels: Labels = {}): void {
    const series = this.#find(name, labels);
    series.value += sum;
    for (const [index, count] of counts.entries())
      series.counts[index] = (series.counts[index] ?? 0) + count;
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, family] of this.#families) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      for (const [labels, series] of this.#series.get(name) ?? [])
        if (family.bounds) lines.push(...histogramLines(name, labels, family.bounds, series));
        else lines.push(`${name}${braces(labels)} ${series.value}`);
    }
    return `${lines.join('\n')}\n`;
  }

  #find(name: Name, labels: Labels): Series {
    const all = this.#series.get(name) ?? new Map<string, Series>();
    const key = labelText(labels);
    const known = all.get(key);
    if (known) return known;
    const isFull = all.size >= (this.#families.get(name)?.limit ?? this.#limit);
    const place = isFull ? labelText(overflowing(labels)) : key;
    const series = all.get(place) ?? { value: 0, counts: [] };
    all.set(place, series);
    return series;
  }
}

const overflowing = (labels: Labels): Labels =>
  Object.fromEntries(Object.keys(labels).map((name) => [name, OVERFLOW]));

const escape = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** Several metrics often have the very same labels. */
const texts = new WeakMap<Labels, string>();

const labelText = (labels: Labels): string => {
  const known = texts.get(labels);
  if (known !== undefined) return known;
  const text = Object.entries(labels)
    .map(([name, value]) => `${name}="${escape(value)}"`)
    .join(',');
  texts.set(labels, text);
  return text;
};

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`);

const histogramLines = (
  name: string,
  labels: string,
  bounds: readonly number[],
  series: Series,
): string[] => {
  const prefix = labels === '' ? '' : `${labels},`;
  let total = 0;
  const lines = bounds.map((bound, index) => {
    total += series.counts[index] ?? 0;
    return `${name}_bucket{${prefix}le="${bound}"} ${total}`;
  });
  total += series.counts[bounds.length] ?? 0;
  lines.push(`${name}_bucket{${prefix}le="+Inf"} ${total}`);
  lines.push(
    `${name}_sum${braces(labels)} ${series.value}`,
    `${name}_count${braces(labels)} ${total}`,
  );
  return lines;
};
