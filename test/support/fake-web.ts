// Other services, without a network: what a test says they answer.
import type { Web, WebAnswer, WebRequest } from '#engine/ports/web.ts';

export interface FakeWeb extends Web {
  /** In the order in which they were asked. */
  readonly asked: readonly WebRequest[];
}

const members: ReadonlySet<string> = new Set<keyof WebAnswer>([
  'status',
  'headers',
  'setCookies',
  'body',
]);

/** An Error is thrown; parts of an answer stand for a whole one; anything else is the JSON of a 200. */
export const fakeWeb = (answer: (request: WebRequest) => unknown): FakeWeb => {
  const asked: WebRequest[] = [];
  return {
    asked,
    async ask(request) {
      asked.push(request);
      const said = await answer(request);
      if (said instanceof Error) throw said;
      return {
        status: 200,
        headers: {},
        setCookies: [],
        ...(isAnswer(said) ? { body: '', ...said } : { body: JSON.stringify(said) }),
      };
    },
    close: async () => {},
  };
};

const isAnswer = (said: unknown): said is Partial<WebAnswer> =>
  typeof said === 'object' &&
  said !== null &&
  Object.keys(said).some((key) => members.has(key)) &&
  Object.keys(said).every((key) => members.has(key));
