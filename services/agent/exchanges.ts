// What is told of every exchange at its end: a line of the access log, a span. Nothing is done where nobody wants it.
import { trace } from '@opentelemetry/api';
import type { AccessEntry } from '#adapters/dataplane-node/access.ts';
import { createAccessLog } from './access-log.ts';
import type { ProcessConfig } from './config.ts';
import { version } from './release.ts';
import { recordSpan } from './spans.ts';

export interface Exchanges {
  /** Absent: nobody listens. */
  readonly onAccess?: (entry: AccessEntry) => void;
  readonly flush: () => void;
}

export const watchExchanges = (
  config: Partial<Pick<ProcessConfig, 'accessLog' | 'traces'>>,
  write: (text: string) => void,
): Exchanges => {
  const log = config.accessLog === 'json' ? createAccessLog(write) : undefined;
  const tracer = config.traces === 'on' ? trace.getTracer('weir', version) : undefined;
  const flush = (): void => log?.flush();
  if (!log && !tracer) return { flush };
  return {
    flush,
    onAccess: (entry) => {
      log?.record(entry);
      if (tracer) recordSpan(tracer, entry);
    },
  };
};
