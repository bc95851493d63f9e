// Steady requests over keep-alive connections until told to stop; every answer is looked at.
import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Load {
  readonly requests: number;
  /** What went wrong, one sentence each: no answer, or `check` found something. */
  readonly failures: readonly string[];
  stop(): Promise<void>;
}

/** `check` returns what is wrong with an answer. No request is tried twice. */
export const startLoad = (
  url: string,
  options: {
    readonly connections: number;
    /** Between an answer and the next request of a connection. */
    readonly pauseMs: number;
    /** Of each request. */
    readonly headers?: () => Readonly<Record<string, string>>;
    readonly check: (answer: Answer) => string | undefined;
  },
): Load => {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  const failures: string[] = [];
  let requests = 0;
  let isStopping = false;
  const worker = async (): Promise<void> => {
    while (!isStopping) {
      requests += 1;
      try {
        const wrong = options.check(await ask(url, agent, options.headers?.() ?? {}));
        if (wrong !== undefined) failures.push(wrong);
      } catch (error) {
        failures.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, options.pauseMs));
    }
  };
  const workers = Array.from({ length: options.connections }, worker);
  return {
    get requests() {
      return requests;
    },
    failures,
    stop: async () => {
      isStopping = true;
      await Promise.all(workers);
      agent.destroy();
    },
  };
};

const ask = (
  url: string,
  agent: Agent,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { agent, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        body += text;
      });
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
      response.once('error', reject);
    });
    sent.once('error', reject);
    sent.end();
  });
