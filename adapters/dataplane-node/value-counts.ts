// Numbers that answers carry, for rollouts that are judged by them: added up per window, version and metric.
import type { Measure } from '#engine/model/metric-plan.ts';
import type { Upstream } from '#engine/model/snapshot.ts';
import type { ValueSeries } from '#engine/model/telemetry.ts';
import type { FieldSection } from './http1/field-section.ts';

/** Plain decimals: what a service may send, it may have from others. */
const NUMBER = /^-?[0-9]{1,15}(?:\.[0-9]{1,15})?$/;

interface Sums {
  readonly of: Pick<ValueSeries, 'service' | 'version' | 'metric'>;
  count: number;
  sum: number;
  squares: number;
  refused: number;
}

type Measured = Pick<Upstream, 'service' | 'version' | 'measures'>;

export class ValueCounts {
  /** As many as policy names metrics and versions. */
  private sums = new Map<string, Sums>();

  /** Reads what stands in this part of an answer, and takes off what callers are not to see. */
  read(upstream: Measured, fields: FieldSection, part: Measure['part']): void {
    for (const measure of upstream.measures ?? []) {
      if (measure.part !== part) continue;
      const index = fields.find(measure.name, 0);
      if (index >= 0) this.note(upstream, measure, fields, index);
    }
  }

  take(): readonly ValueSeries[] {
    if (this.sums.size === 0) return [];
    const taken = [...this.sums.values()].map(
      ({ of, count, sum, squares, refused }): ValueSeries => ({
        ...of,
        count,
        sum,
        squares,
        ...(refused > 0 && { refused }),
      }),
    );
    this.sums = new Map();
    return taken;
  }

  private note(upstream: Measured, measure: Measure, fields: FieldSection, index: number): void {
    const sums = this.sumsOf(upstream, measure);
    const text = fields.value(index);
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    const isTwice = fields.find(measure.name, index + 1) >= 0;
    if (!isTwice && value >= measure.from && value <= measure.to) {
      sums.count++;
      sums.sum += value;
      sums.squares += value * value;
    } else sums.refused++;
    if (!measure.strip) return;
    for (let at = index; at >= 0; at = fields.find(measure.name, at + 1)) fields.strike(at);
  }

  private sumsOf({ service, version }: Measured, { metric }: Measure): Sums {
    const key = `${service}@${version} ${metric}`;
    const known = this.sums.get(key);
    if (known) return known;
    const of = { service, version, metric };
    const fresh: Sums = { of, count: 0, sum: 0, squares: 0, refused: 0 };
    this.sums.set(key, fresh);
    return fresh;
  }
}
