// What a Bibby service is told at start-up, from its environment.
export const serviceNames = ['catalog', 'library', 'circulation'] as const;
export type ServiceName = (typeof serviceNames)[number];

/** Median in milliseconds; with the spread of answer.ts a p99 of 45, 120 and 30 ms. */
const usualLatencyMs: Readonly<Record<ServiceName, number>> = {
  catalog: 18,
  library: 47,
  circulation: 12,
};

export interface BibbyConfig {
  readonly service: ServiceName;
  readonly version: string;
  readonly host: string;
  /** 0 lets the system choose; the address is printed. */
  readonly port: number;
  /** Share of requests answered with 500. */
  readonly errorRate: number;
  /** Median time of an answer; 0 answers at once. */
  readonly latencyMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws an Error whose message is one sentence for the person who typed it. */
export const parseConfig = (args: readonly string[], env: Environment): BibbyConfig => {
  const service = args[0] ?? env['BIBBY_SERVICE'];
  if (!isServiceName(service))
    throw new Error(`Say which service to run, one of ${serviceNames.join(', ')}.`);
  return {
    service,
    version: env['BIBBY_VERSION'] ?? 'v1.0',
    host: env['HOST'] ?? '127.0.0.1',
    port: numberFrom(env, 'PORT', { fallback: 0, max: 65535 }),
    errorRate: numberFrom(env, 'BIBBY_ERROR_RATE', { fallback: 0, max: 1 }),
    latencyMs: numberFrom(env, 'BIBBY_LATENCY_MS', {
      fallback: usualLatencyMs[service],
      max: 60_000,
    }),
  };
};

const isServiceName = (text: string | undefined): text is ServiceName =>
  serviceNames.some((name) => name === text);

const numberFrom = (
  env: Environment,
  name: string,
  { fallback, max }: { readonly fallback: number; readonly max: number },
): number => {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = Number(text);
  if (!(value >= 0 && value <= max))
    throw new Error(`${name} must be a number from 0 to ${max}, not "${text}".`);
  return value;
};
