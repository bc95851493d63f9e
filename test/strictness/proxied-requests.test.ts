import { describe, expect, it } from 'vitest';
import { simplePipeline, upstream, viewOf } from '#test/adapters/dataplane-node/support.ts';
import { cut, fuzz } from './fuzz.ts';
import { type Conversation, inMemoryProxy } from './in-memory.ts';
import { requestBases, requestPieces } from './requests.ts';
import { type Message, type Reading, readStrictly } from './strict-reader.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

const view = viewOf([upstream([1])]);

const proxy = await inMemoryProxy({
  answer: (text) => (readStrictly(text).messages.length > 0 ? [OK] : undefined),
  view,
  pipeline: simplePipeline(view, {
    action: { timeoutMs: 0 },
    pipeline: { isProtectedHeader: (name) => isIdentity(name) },
  }),
});

const isIdentity = (name: string): boolean => /^x[^a-z0-9]user[^a-z0-9]id$/.test(name);

/** Method and body; paths become canonical. */
const shown = ({ line, body }: Message): string => `${line.split(' ')[0]} ${body}`;

/** Of two faults in one head the first to be seen is named, so all refusals are one. */
const statuses = ({ answers }: Conversation): string =>
  (answers.match(/HTTP\/1\.1 [2-5](?=[0-9]{2} )/g) ?? [])
    .map((status) => (status.endsWith('2') ? 'yes' : 'no'))
    .join(' ');

let passed = 0;

/** A part of a request whose rest never came, or was malformed, is a part of what was said. */
const isBegun = (said: Reading, heard: Reading): boolean => {
  if (heard.rest === '') return true;
  const began = said.messages[heard.messages.length]?.line ?? said.open?.line;
  return began?.split(' ')[0] === (heard.open?.line ?? heard.rest).split(' ')[0];
};

const namesIdentity = ({ messages, open }: Reading): boolean =>
  [...messages, ...(open ? [open] : [])].some(({ fields }) =>
    fields.some(([name]) => isIdentity(name)),
  );

/** What the upstream was made to believe beyond what the caller said. */
const excess = (text: string, { sent, answers }: Conversation): string | undefined => {
  const said = readStrictly(text);
  const heard = readStrictly(sent);
  passed += heard.messages.length;
  for (const [i, message] of heard.messages.entries()) {
    const expected = said.messages[i];
    if (!expected || shown(expected) !== shown(message))
      return `the upstream heard ${JSON.stringify(message)}`;
  }
  if (!isBegun(said, heard)) return `the upstream heard ${heard.rest}`;
  if ((answers.match(/ 200 OK/g)?.length ?? 0) > heard.messages.length)
    return 'more answers than requests';
  return namesIdentity(heard) ? 'a protected header got through' : undefined;
};

describe('mutated requests', () => {
  it('never become more than a strict reader sees in them, however they are cut', () => {
    const inputs = fuzz({
      inputs: 100_000,
      bases: requestBases,
      pieces: requestPieces,
      check: (text, random) => {
        const whole = proxy.talk([text]);
        const problem = excess(text, whole);
        if (problem !== undefined) return problem;
        const pieces = cut(text, random);
        const split = proxy.talk(pieces);
        if (split.sent !== whole.sent && !isSameBut(whole, split))
          return `cut as ${JSON.stringify(pieces)} the upstream heard ${JSON.stringify(split.sent)} instead of ${JSON.stringify(whole.sent)}`;
        if (statuses(split) !== statuses(whole))
          return `cut as ${JSON.stringify(pieces)} it was answered ${statuses(split)} instead of ${statuses(whole)}`;
        return undefined;
      },
    });
    // Otherwise everything was refused, and nothing shown.
    expect(passed).toBeGreaterThan(inputs / 3);
  });
});

describe('an empty line before a request', () => {
  it('may come in two parts', () => {
    const { answers } = proxy.talk(['\r', '\nGET / HTTP/1.1\r\nHost: a\r\n\r\n']);
    expect(answers).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** Request ids differ, and chunks are as they were received. */
const isSameBut = (one: Conversation, other: Conversation): boolean => {
  const normal = ({ sent }: Conversation): string =>
    JSON.stringify(readStrictly(sent.replaceAll(/x-request-id: \S+\r\n/g, '')).messages);
  return normal(one) === normal(other);
};
