// Every header that only Weir may say, in every disguise, on every kind of route: an upstream never hears a caller's copy.
import { beforeAll, describe, expect, it } from 'vitest';
import { createPipeline } from '#engine/pipeline/create-pipeline.ts';
import {
  forwardTo,
  listenerAt,
  ruleFor,
  snapshotOf,
  upstreamAt,
  viewOf,
} from '#test/conformance/data-plane-world.ts';
import { pipelineDeps } from '#test/support/pipeline-deps.ts';
import { issuerPlan, jwtAuthentication, keyPair, sign } from '#test/support/tokens.ts';
import { type InMemoryProxy, inMemoryProxy } from './in-memory.ts';
import { readStrictly } from './strict-reader.ts';

/** Names that upstreams believe. */
const names = [
  'X-User-ID',
  'X-User-Roles',
  'X-Tenant-Code',
  'X-Forwarded-Client-Cert',
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Prefix',
  'X-Real-IP',
  'Forwarded',
  'Proxy',
];

type Spelling = (name: string, value: string) => string;

const renamed =
  (rename: (name: string) => string): Spelling =>
  (name, value) =>
    `${rename(name)}: ${value}\r\n`;
const dashesAs = (text: string): Spelling => renamed((name) => name.replaceAll('-', text));

const disguises = "_.~!#$%&'*+^`|".split('').map(dashesAs);
/** Looks like a dash, or is nothing, in UTF-8 or Latin-1. */
const lookAlikes = ['\xad', '\xe2\x80\x90', '\xe2\x80\x93', '\xef\xbc\x8d', '\xe2\x80\x8b-'].map(
  dashesAs,
);

const spellings: readonly Spelling[] = [
  renamed((name) => name),
  renamed((name) => name.toLowerCase()),
  renamed((name) => name.toUpperCase()),
  renamed((name) =>
    name.replaceAll(/[a-z]/g, (letter, at: number) => (at % 2 ? letter : letter.toUpperCase())),
  ),
  ...disguises,
  ...lookAlikes,
  renamed((name) => name.replace('-', '_')),
  renamed((name) => name.replace('-', '.').toUpperCase()),
  renamed((name) => `${name} `),
  renamed((name) => `${name}\t`),
  renamed((name) => ` ${name}`),
  renamed((name) => `X: y\r${name}`),
  renamed((name) => `X: y\n${name}`),
  renamed((name) => `X: y\r\n ${name}`),
  renamed((name) => `X:\r\n\t${name}`),
  renamed((name) => `\0${name}`),
  renamed((name) => name.replace('-', '-\0')),
  renamed((name) => name.replace('X', '\xd1\x85').replace('F', '\xef\xbc\xa6')),
  renamed((name) => name.replaceAll('-', '%2d')),
  renamed((name) => `${name}:`),
  (name, value) => `${name}:${value}\r\n`,
  (name, value) => `${name}:\t ${value} \t\r\n`,
  (name, value) => `${name}: ${value}\r\n${name}: ${value}\r\n`,
  (name, value) => `${name}: ${value}\r\n${name.toLowerCase().replaceAll('-', '_')}: ${value}\r\n`,
  (name, value) => `${name}: alice, ${value}\r\n`,
  (name, value) => `${name}: ${value}, alice\r\n${name}: alice\r\n`,
  (name, value) => `${name}: "${value}"; a=b\r\n`,
  (name, value) => `Connection: ${name}\r\n${name}: ${value}\r\n`,
  (name, value) => `Connection: keep-alive, ${name.replaceAll('-', '_')}\r\n${name}: ${value}\r\n`,
  (name, value) => `${name}: ${value}\r\nConnection: close, ${name.toLowerCase()}\r\n`,
  (name, value) => `Content-Length: 0\r\n\r\n${name}: ${value}\r\n`,
];

/** Said after the body. */
const trailing: readonly Spelling[] = [
  spellings[0] as Spelling,
  ...disguises,
  (name, value) => `X: y\r\n${name.toUpperCase()}: ${value}\r\n`,
  (name, value) => `${name} : ${value}\r\n`,
];

const MARK = 'mallory';

const requestsTo = (path: string, token: string): readonly string[] =>
  names.flatMap((name) => {
    const head = `POST ${path} HTTP/1.1\r\nHost: api.bibby.com\r\nAuthorization: Bearer ${token}\r\n`;
    return [
      ...spellings.map((spell) => `${head}${spell(name, MARK)}\r\n`),
      ...trailing.map(
        (spell) =>
          `${head}TE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n${spell(name, MARK)}\r\n`,
      ),
    ];
  });

const letters = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
const believed = new Set(names.map(letters));

/** Fields of what was sent upstream that a server may take for one of `names`. */
const identityIn = (sent: string): readonly (readonly [string, string])[] => {
  const { messages, open } = readStrictly(sent);
  return [...messages, ...(open ? [open] : [])].flatMap((message) =>
    [...message.fields, ...('trailers' in message ? message.trailers : [])].filter(([name]) =>
      believed.has(letters(name)),
    ),
  );
};

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const target = 'bibby/catalog';

let proxy: InMemoryProxy;
let token = '';

beforeAll(async () => {
  const key = await keyPair();
  token = await sign(key, { tenant: 'bibby' });
  const issuer = issuerPlan([key.jwk], {
    claimsToHeaders: [
      ['sub', 'X-User-ID'],
      ['roles', 'X-User-Roles'],
      ['tenant', 'X-Tenant-Code'],
    ],
  });
  const rules = [
    ruleFor(
      { action: forwardTo(target), authentications: ['readers'] },
      { path: { type: 'segmentPrefix', value: '/authenticated' } },
    ),
    ruleFor(
      {
        action: forwardTo(target, {
          rewrite: { stripPrefix: '/rewritten', prefix: '/v1', host: 'catalog' },
        }),
        requestHeaders: {
          set: [['X-Tenant-Code', 'bibby']],
          add: [['X-Via', 'weir']],
          remove: ['X-Nothing'],
        },
      },
      { path: { type: 'segmentPrefix', value: '/rewritten' } },
    ),
    ruleFor({ action: forwardTo(target) }),
  ];
  const view = viewOf(
    snapshotOf({
      rules,
      upstreams: [upstreamAt(target, [1])],
      listeners: [listenerAt(8080)],
      authentications: { readers: jwtAuthentication([issuer]) },
    }),
    1,
  );
  proxy = await inMemoryProxy({
    answer: (text) => (readStrictly(text).messages.length > 0 ? [OK] : undefined),
    view,
    pipeline: createPipeline(view, pipelineDeps()),
  });
  // Verifying takes turns of the event loop; from then on the token is known.
  const hello = `GET /authenticated HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  while (!proxy.talk([hello]).answers.includes(' 200 '))
    await new Promise((resolve) => setImmediate(resolve));
});

describe('a header that only Weir may say', () => {
  it.each([
    ['/authenticated', ['alice', 'reader', 'bibby']],
    ['/rewritten/x', ['bibby']],
    ['/open', []],
  ])('is never the caller’s on %s, however it is spelled', (path, ours) => {
    const requests = requestsTo(path, token);
    let passed = 0;
    for (const request of requests) {
      const { sent } = proxy.talk([request]);
      const identity = identityIn(sent);
      if (sent !== '') passed++;
      expect(JSON.stringify(identity), JSON.stringify(request)).not.toContain(MARK);
      if (sent === '') continue;
      const said = identity.filter(([name]) => !/^x-forwarded-(?:for|proto|host)$/.test(name));
      expect(
        said.map(([, value]) => value),
        JSON.stringify(request),
      ).toEqual(ours);
    }
    expect(requests.length).toBeGreaterThan(700);
    expect(passed).toBeGreaterThan(requests.length / 4);
  });
});
