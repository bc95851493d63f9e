// The body of an answer as text, never more of it than was asked for: neither on the wire nor unpacked.
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';

/** The address answered, and what it said is of no use. It is none the worse for it. */
export class UselessAnswer extends Error {}

/** Who asked does not want to know any more. */
export class Abandoned extends Error {
  constructor() {
    super('nobody waits for the answer any more');
  }
}

const decoders = new Map([
  ['gzip', promisify(gunzip)],
  ['x-gzip', promisify(gunzip)],
  ['deflate', promisify(inflate)],
  ['br', promisify(brotliDecompress)],
] as const);

export const readBody = async (
  body: Readable,
  encoding: string | undefined,
  maxBytes: number,
): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(bytes);
  }
  const sent = Buffer.concat(chunks);
  return (await decode(sent, encoding?.trim().toLowerCase(), maxBytes)).toString('utf8');
};

const decode = async (
  sent: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): Promise<Buffer> => {
  if (encoding === undefined || encoding === '' || encoding === 'identity') return sent;
  if (sent.length === 0) return sent;
  const decoder = decoders.get(encoding as 'gzip');
  if (!decoder) throw new UselessAnswer(`answered in the unknown encoding ${encoding}`);
  try {
    return await decoder(sent, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new UselessAnswer(`answered what is not ${encoding}`);
  }
};

const tooLarge = (maxBytes: number): Error =>
  new UselessAnswer(`answered more than ${maxBytes} bytes`);
