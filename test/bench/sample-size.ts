// `npm run bench:samples`: what an agent says per second, in bytes, by how many series are active. The last line is JSON.
import { gzipSync } from 'node:zlib';
import { Samples } from '#adapters/dataplane-node/samples.ts';
import type { Sample } from '#engine/model/telemetry.ts';
import { createChance } from '#test/sim/random.ts';

const chance = createChance(1);
const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** One second of so many series, each a caller of a rule of a service in a version. */
const windowOf = async (series: number, requestsPerSeries: number): Promise<Sample> => {
  let ms = 0;
  const samples = new Samples({
    clock: { now: () => 1_800_000_000_000 + ms, monotonic: () => ms } as never,
    reporter: 'source',
    revision: () => 42,
  });
  for (let at = 0; at < series; at += 1)
    for (let left = requestsPerSeries; left > 0; left -= 1)
      samples.record({
        rule: `bibby/catalog/rule-${at % 25}`,
        service: 'bibby/catalog-service',
        version: at % 2 === 0 ? 'v1.0' : 'v1.1',
        source:
          at < 50 ? 'unknown' : `spiffe://bibby.com/ns/bibby/sa/reader-${Math.floor(at / 50)}`,
        protocol: 'http',
        isMutual: false,
        grpcStatus: undefined,
        status: chance.uniform() < 0.01 ? 503 : 200,
        flag: '',
        latencyMs: 20 * Math.exp(0.5 * chance.normal()),
        requestBytes: 300 + Math.floor(chance.uniform() * 200),
        responseBytes: 1000 + Math.floor(chance.uniform() * 9000),
        retries: 0,
      });
  ms = 1000;
  samples.flush();
  for await (const { outcomes: _, ...facts } of samples.read())
    return {
      v: 1,
      type: 'sample',
      agent: 'edge-1',
      scope: 'edge.public',
      incarnation: '0198c2a4-7e5f-7000-8000-000000000000',
      sequence: 123_456,
      ...facts,
    };
  throw new Error('there was no window');
};

const rows = [];
print('series  requests/s each  bytes/s  bytes per series  gzip, bytes/s');
for (const series of [10, 100, 1000])
  for (const requests of [1, 10, 100]) {
    const text = JSON.stringify(await windowOf(series, requests));
    const zipped = gzipSync(text, { level: 1 }).byteLength;
    const bytes = Buffer.byteLength(text);
    rows.push({ series, requests, bytes, zipped });
    print(
      `${String(series).padStart(6)}  ${String(requests).padStart(15)}  ${String(bytes).padStart(7)}  ${String(Math.round(bytes / series)).padStart(16)}  ${String(zipped).padStart(13)}`,
    );
  }
print(JSON.stringify({ bench: 'samples', rows }));
