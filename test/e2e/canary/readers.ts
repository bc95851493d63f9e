// Readers: requests that come when they come, whether or not earlier ones have been answered.
import { Agent, request } from 'node:http';

export interface Readers {
  /** Answers by status; 0 for none. */
  readonly counts: ReadonlyMap<number, number>;
  /** The first answer that is neither 200 nor 500: not the service's own. */
  readonly refusal: string | undefined;
  /** The longest that the readers themselves stood still: what fails then is the machine's doing. */
  readonly stalledMs: number;
  perSecond: number;
  stop(): Promise<void>;
}

export const startReaders = (
  at: { readonly port: number; readonly host: string; readonly paths: readonly string[] },
  perSecond: number,
): Readers => {
  const agent = new Agent({ keepAlive: true, maxSockets: 200 });
  const counts = new Map<number, number>();
  const count = (status: number): void => void counts.set(status, (counts.get(status) ?? 0) + 1);
  let open = 0;
  let refusal: string | undefined;
  let stalledMs = 0;
  const ask = (): void => {
    const path = at.paths[Math.floor(Math.random() * at.paths.length)] ?? '/';
    open += 1;
    const done = (status: number): void => {
      open -= 1;
      count(status);
    };
    request(
      { agent, host: '127.0.0.1', port: at.port, path, headers: { host: at.host } },
      (response) => {
        let body = '';
        response.on('data', (text: Buffer) => (body += text.toString()));
        response.once('close', () => {
          const status = response.statusCode ?? 0;
          if (status !== 200 && status !== 500) refusal ??= `${status} ${body}`;
          done(status);
        });
      },
    )
      .once('error', (error) => {
        refusal ??= `no answer: ${error.message}`;
        done(0);
      })
      .end();
  };
  const readers: Readers = {
    counts,
    get refusal() {
      return refusal;
    },
    get stalledMs() {
      return Math.round(stalledMs);
    },
    perSecond,
    stop: async () => {
      clearInterval(timer);
      while (open > 0) await new Promise((resolve) => setTimeout(resolve, 20));
      agent.destroy();
    },
  };
  // Exponential gaps, worked off every few milliseconds.
  let due = performance.now();
  let ticked = due;
  const timer = setInterval(() => {
    const now = performance.now();
    stalledMs = Math.max(stalledMs, now - ticked);
    ticked = now;
    while (due < now) {
      ask();
      due += (-Math.log(1 - Math.random()) * 1000) / readers.perSecond;
    }
  }, 4);
  return readers;
};
