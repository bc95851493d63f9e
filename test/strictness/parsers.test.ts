// Every parser of what strangers send, against a slow and plain second opinion.
import { describe, it } from 'vitest';
import '#adapters/dataplane-node/latin1.ts';
import { clientOf, trustedProxies } from '#adapters/dataplane-node/downstream/client-address.ts';
import { hostOf } from '#adapters/dataplane-node/http1/authority.ts';
import { BodyReader } from '#adapters/dataplane-node/http1/body-reader.ts';
import type { FieldSection } from '#adapters/dataplane-node/http1/field-section.ts';
import { keptFields, noDrops, requestKeeps } from '#adapters/dataplane-node/http1/head-writer.ts';
import { RequestHead } from '#adapters/dataplane-node/http1/request-head.ts';
import { ResponseHead } from '#adapters/dataplane-node/http1/response-head.ts';
import { fuzz, type Random } from './fuzz.ts';
import { requestBases, requestPieces } from './requests.ts';
import {
  type Body,
  type Head,
  readChunks,
  readRequestHead,
  readResponseHead,
} from './strict-reader.ts';

const limits = { maxHeaderBytes: 65_536, maxHeaders: 100, maxTargetBytes: 8192 };

/** Up to the first empty line, which the parsers are promised. */
const headIn = (text: string): string | undefined => {
  const end = text.indexOf('\r\n\r\n');
  return end < 0 ? undefined : text.slice(0, end + 4);
};

const listed = (fields: FieldSection): Head['fields'] =>
  Array.from({ length: fields.count }, (_, i) => [fields.name(i), fields.value(i)] as const);

const same = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

describe('a request head', () => {
  it('is never read where a strict reader refuses, and never differently', () => {
    const head = new RequestHead();
    fuzz({
      inputs: 200_000,
      bases: requestBases,
      pieces: requestPieces,
      check: (text) => {
        const whole = headIn(text);
        if (whole === undefined || head.parse(whole, 0, limits) !== undefined) return undefined;
        const strict = readRequestHead(whole);
        if (!strict) return 'accepts what is ambiguous';
        const { method, target, minor, contentLength, fields } = head;
        if (method !== strict.method || target !== strict.target || minor !== strict.minor)
          return `reads ${method} ${target} HTTP/1.${minor}`;
        if (contentLength !== strict.length) return `takes the body for ${contentLength} bytes`;
        if (!same(listed(fields), strict.fields)) return 'reads other fields';
        return writesOn(fields);
      },
    });
  });
});

/** What travels on is well-formed, and says nothing about framing. */
const writesOn = (fields: FieldSection): string | undefined => {
  const kept = keptFields(fields, requestKeeps, noDrops);
  const again = readRequestHead(`GET / HTTP/1.1\r\nhost: a\r\n${kept}\r\n`);
  return again?.length === 0 ? undefined : `passes on ${kept}`;
};

const responseBases = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n',
  'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
  'HTTP/1.0 200 OK\r\nServer: old\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
];

describe('a response head', () => {
  it('is never read where a strict reader refuses, and never differently', () => {
    const head = new ResponseHead();
    fuzz({
      inputs: 200_000,
      bases: responseBases,
      pieces: [...requestPieces, '1', '99', 'HTTP/1.1 200 OK\r\n'],
      check: (text, random) => {
        const whole = headIn(text);
        const method = random.pick(['GET', 'HEAD', 'POST']);
        if (whole === undefined || !head.parse(whole, method)) return undefined;
        const strict = readResponseHead(whole, method);
        if (!strict) return 'accepts what is ambiguous';
        if (head.status !== strict.status) return `reads status ${head.status}`;
        if (head.bodyLength !== strict.length) return `takes the body for ${head.bodyLength} bytes`;
        return same(listed(head.fields), strict.fields) ? undefined : 'reads other fields';
      },
    });
  });
});

interface ReadBody extends Body {
  readonly fault: string | undefined;
  readonly done: boolean;
}

const bodyReader = new BodyReader();
const bytes = Buffer.alloc(65_536);

const readAll = (text: string, random: Random): ReadBody => {
  bodyReader.start(-1);
  const end = bytes.write(text, 'latin1');
  let at = 0;
  let body = '';
  while (at < end && !bodyReader.done && bodyReader.fault === undefined) {
    const stop = Math.min(end, at + 1 + random.below(end));
    while (at < stop && !bodyReader.done && bodyReader.fault === undefined) {
      at = bodyReader.read(bytes, at, stop);
      body += bytes.latin1Slice(bodyReader.dataStart, bodyReader.dataEnd);
    }
  }
  const { fault, done, trailers } = bodyReader;
  return { body, trailers: trailers ? listed(trailers) : [], rest: text.slice(at), fault, done };
};

describe('a chunked body', () => {
  it('is what a strict reader takes it for, however it is cut', () => {
    fuzz({
      inputs: 200_000,
      bases: [
        '5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n',
        '5;a=b\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\nrest',
        '1\r\n\n\r\n2\r\n\r\n\r\n0;x\r\n\r\n0\r\n\r\n',
        'F\r\n0\r\n\r\nGET / HTTP/\r\n0\r\nContent-Type: x\r\n\r\n',
      ],
      pieces: [...requestPieces, '0\r\n', '1\r\nx\r\n', '0x', '\r\r\n', ';'],
      check: (text, random) => {
        const read = readAll(text, random);
        const strict = readChunks(text);
        const { fault, done, ...found } = read;
        if (fault === undefined && done) {
          if (!strict) return `accepts ${JSON.stringify(found)}`;
          return same(found, strict) ? undefined : `reads ${JSON.stringify(found)}`;
        }
        // Trailers may be refused for names in disguise.
        return strict && fault !== 'trailers' ? `refuses it: ${fault}` : undefined;
      },
    });
  });
});

/** RFC 3986 in the words of this proxy: a plain name or a bracketed IPv6 address, and a port. */
const plainHost = (authority: string): string | undefined => {
  const bracketed = authority.startsWith('[');
  const colon = authority.indexOf(':', bracketed ? authority.indexOf(']') : 0);
  const host = colon < 0 ? authority : authority.slice(0, colon);
  const port = colon < 0 ? '0' : authority.slice(colon + 1);
  if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65_535) return undefined;
  if (bracketed) return /^\[[0-9a-f:.]+\]$/i.test(host) ? host.toLowerCase() : undefined;
  const labels = host.toLowerCase().replace(/\.$/, '').split('.');
  const isName = labels.every((label) => /^[a-z0-9_-]+$/.test(label));
  return isName && /^[a-z0-9]/.test(labels[0] ?? '') ? labels.join('.') : undefined;
};

describe('an authority', () => {
  it('names the host that a plain reading names, or none', () => {
    fuzz({
      inputs: 150_000,
      bases: [
        'api.bibby.com',
        'API.bibby.com:8080',
        '[::1]:80',
        '[2001:db8::1]',
        '127.0.0.1:1',
        'a.',
      ],
      pieces: [
        '.',
        ':',
        '@',
        '/',
        ',',
        '[',
        ']',
        '..',
        '%00',
        '\0',
        ' ',
        '65536',
        'evil.com',
        '_',
        '-',
      ],
      check: (text) => {
        const host = hostOf(text);
        if (host === undefined) return undefined;
        if (host !== plainHost(text)) return `is read as ${host}, not ${plainHost(text)}`;
        return hostOf(host) === host ? undefined : `is ${hostOf(host)} when read again`;
      },
    });
  });
});

describe('a chain of forwarded addresses', () => {
  const proxies = trustedProxies(['10.0.0.0/8', '2001:db8::/32']);

  it('names an address that is in it, or the peer', () => {
    fuzz({
      inputs: 100_000,
      bases: [
        '1.2.3.4, 10.0.0.2',
        '[2001:db8::1]:443, 10.1.1.1:80',
        '::ffff:1.2.3.4',
        'unknown, 10.0.0.9',
      ],
      pieces: [',', ' ', ':', '[', ']', '.', '%eth0', '10.0.0.3', '::', '"', '_hidden'],
      check: (text) => {
        const client = clientOf('10.0.0.1', text, proxies);
        if (client === '10.0.0.1' || text.includes(client)) return undefined;
        return `is taken for ${client}`;
      },
    });
  });
});
