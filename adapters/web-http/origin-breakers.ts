// One circuit breaker for each origin that is asked: what does not answer is left alone for a while, and whoever needs it
// hears so at once.
import CircuitBreaker from 'opossum';
import type { WebAnswer, WebRequest } from '#engine/ports/web.ts';
import { Abandoned, UselessAnswer } from './read-body.ts';

export interface BreakerOptions {
  /** So many calls within ten seconds before it may open. Default 10. */
  readonly volumeThreshold?: number;
  /** So long it stays open before one call may try again. Default 5000. */
  readonly resetMs?: number;
  /** Calls of one origin under way at once. Default 1000. */
  readonly capacity?: number;
}

type Ask = (request: WebRequest) => Promise<WebAnswer>;
type Breaker = CircuitBreaker<[WebRequest], WebAnswer>;

/** The origin says of itself that it is out of order; other errors are about the one request. */
class OutOfOrder extends Error {
  readonly answer: WebAnswer;

  constructor(answer: WebAnswer) {
    super(`answered ${answer.status}`);
    this.answer = answer;
  }
}

/** Policy names few origins; beyond this the one that was made first is forgotten. */
const MAX_ORIGINS = 500;

export class OriginBreakers {
  readonly #ask: Ask;
  readonly #options: BreakerOptions;
  readonly #breakers = new Map<string, Breaker>();

  constructor(ask: Ask, options: BreakerOptions) {
    this.#ask = async (request) => {
      const answer = await ask(request);
      if (answer.status >= 502 && answer.status <= 504) throw new OutOfOrder(answer);
      return answer;
    };
    this.#options = options;
  }

  async fire(origin: string, request: WebRequest): Promise<WebAnswer> {
    try {
      return await this.#of(origin).fire(request);
    } catch (error) {
      if (error instanceof OutOfOrder) return error.answer;
      throw told(error, origin);
    }
  }

  close(): void {
    for (const breaker of this.#breakers.values()) breaker.shutdown();
    this.#breakers.clear();
  }

  #of(origin: string): Breaker {
    const known = this.#breakers.get(origin);
    if (known) return known;
    const { volumeThreshold = 10, resetMs = 5000, capacity = 1000 } = this.#options;
    const breaker: Breaker = new CircuitBreaker(this.#ask, {
      timeout: false, // every request brings its own
      volumeThreshold,
      errorThresholdPercentage: 50,
      rollingCountTimeout: 10_000,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      resetTimeout: resetMs,
      capacity,
      errorFilter: (error: unknown) => error instanceof UselessAnswer || error instanceof Abandoned,
    });
    this.#breakers.set(origin, breaker);
    const [oldest] = this.#breakers.keys();
    if (this.#breakers.size > MAX_ORIGINS && oldest !== undefined) {
      this.#breakers.get(oldest)?.shutdown();
      this.#breakers.delete(oldest);
    }
    return breaker;
  }
}

const told = (error: unknown, origin: string): unknown => {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EOPENBREAKER')
    return new Error(`${origin} has failed too often and is left alone for a moment`);
  return code === 'ESEMLOCKED' ? new Error(`too many calls of ${origin} are under way`) : error;
};
