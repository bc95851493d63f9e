// How the process itself is doing: read when somebody asks.
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { Family } from './registry.ts';

export const processFamilies = {
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory in use.' },
  process_cpu_seconds_total: { type: 'counter', help: 'User and system time.' },
  process_start_time_seconds: { type: 'gauge', help: 'When the process started.' },
  nodejs_eventloop_lag_mean_seconds: { type: 'gauge', help: 'Since the last time it was asked.' },
  nodejs_eventloop_lag_p99_seconds: { type: 'gauge', help: 'Since the last time it was asked.' },
  nodejs_eventloop_lag_max_seconds: { type: 'gauge', help: 'Since the last time it was asked.' },
} as const satisfies Record<string, Family>;

interface Gauges {
  set(name: keyof typeof processFamilies, value: number): void;
}

export interface ProcessMetrics {
  update(gauges: Gauges): void;
  close(): void;
}

const RESOLUTION_MS = 20;

export const watchProcess = (): ProcessMetrics => {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  // The histogram holds the time between two looks, so an idle loop shows the resolution itself.
  const lag = (nanoseconds: number): number =>
    Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000) : 0;
  return {
    update: (gauges) => {
      const { user, system } = process.cpuUsage();
      gauges.set('process_resident_memory_bytes', process.memoryUsage.rss());
      gauges.set('process_cpu_seconds_total', (user + system) / 1e6);
      gauges.set('process_start_time_seconds', performance.timeOrigin / 1000);
      gauges.set('nodejs_eventloop_lag_mean_seconds', lag(delay.mean));
      gauges.set('nodejs_eventloop_lag_p99_seconds', lag(delay.percentile(99)));
      gauges.set('nodejs_eventloop_lag_max_seconds', lag(delay.max));
      delay.reset();
    },
    close: () => delay.disable(),
  };
};
