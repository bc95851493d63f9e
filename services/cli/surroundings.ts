// Everything the command touches outside itself, so that tests can give it another world.
import pc from 'picocolors';

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Where Weir's own files are: bin/, services/, node_modules/. */
  readonly root: string;
  /** Colours and redrawing only where a person looks. */
  readonly isTerminal: boolean;
  readonly columns: number;
  out(text: string): void;
  error(text: string): void;
  stdin(): Promise<string>;
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Aborted by Ctrl-C: watches and event streams end in order. */
  readonly stop: AbortSignal;
}

export const processSurroundings = (root: string): Surroundings => {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  // `weir get | head` closes our output early; that is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    env: process.env,
    cwd: process.cwd(),
    root,
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.columns ?? 120,
    out: (text) => void process.stdout.write(text),
    error: (text) => void process.stderr.write(text),
    stdin: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin as AsyncIterable<Buffer>) chunks.push(chunk);
      return Buffer.concat(chunks).toString('utf8');
    },
    now: () => Date.now(),
    sleep: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        stop.signal.addEventListener('abort', () => {
          clearTimeout(timer);
          resolve();
        });
      }),
    stop: stop.signal,
  };
};

export type Colors = ReturnType<typeof pc.createColors>;
export const colorsFor = ({ isTerminal, env }: Pick<Surroundings, 'isTerminal' | 'env'>): Colors =>
  pc.createColors(isTerminal && !env['NO_COLOR']);
