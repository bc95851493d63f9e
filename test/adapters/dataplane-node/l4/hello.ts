// ClientHellos as real clients send them, and ones that nobody should.
import { Duplex } from 'node:stream';
import tls from 'node:tls';

/** The first flight of Node's own client. */
export const realHello = (options: tls.ConnectionOptions): Promise<Buffer> =>
  new Promise((resolve) => {
    const wire = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _encoding, done) => {
        resolve(Buffer.from(chunk));
        done();
      },
    });
    tls.connect({ ...options, socket: wire }).on('error', () => {});
  });

/** The handshake message inside records that hold it whole. */
export const messageOf = (hello: Buffer): Buffer => hello.subarray(5);

/** One message over records of the given sizes; the rest in a last one. */
export const inRecords = (message: Buffer, sizes: readonly number[]): Buffer => {
  const records: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, message.length]) {
    const part = message.subarray(at, at + size);
    if (part.length === 0) break;
    const head = Buffer.from([22, 3, 1, 0, 0]);
    head.writeUInt16BE(part.length, 3);
    records.push(head, part);
    at += part.length;
  }
  return Buffer.concat(records);
};

const vector = (width: number, bytes: Buffer): Buffer => {
  const length = Buffer.alloc(width);
  length.writeUIntBE(bytes.length, 0, width);
  return Buffer.concat([length, bytes]);
};

export const extension = (type: number, data: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type >> 8, type & 255]), vector(2, data)]);

export const nameEntry = (name: string, type = 0): Buffer =>
  Buffer.concat([Buffer.from([type]), vector(2, Buffer.from(name, 'latin1'))]);

export const serverName = (...entries: readonly Buffer[]): Buffer =>
  extension(0, vector(2, Buffer.concat(entries)));

/** A message with exactly these extensions. */
export const madeHello = (extensions: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    vector(1, Buffer.alloc(32, 9)),
    vector(2, Buffer.from([0x13, 0x01])),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
};
