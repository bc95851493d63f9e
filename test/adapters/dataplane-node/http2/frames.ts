// HTTP/2 frame by frame, for callers that do not keep to the rules.
import net from 'node:net';
import { closing } from '../support.ts';

export const Type = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

export const Flag = { EndStream: 1, Ack: 1, EndHeaders: 4 } as const;

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

export const frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Buffer | string = '',
): Buffer => {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
};

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  let rest = bytes.length - 127;
  const length = [127];
  while (rest >= 128) {
    length.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
};

export type Fields = readonly (readonly [name: string, value: string])[];

/** Literal, never indexed, unless `indexed`: then it goes into the dynamic table. */
export const block = (fields: Fields, indexed = false): Buffer =>
  Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([indexed ? 0x40 : 0]), text(name), text(value)]),
  );

export const getFields: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'api.bibby.com'],
];

export const postFields: Fields = [[':method', 'POST'], ...getFields.slice(1)];

export const settings = (entries: readonly (readonly [id: number, value: number])[]): Buffer => {
  const payload = Buffer.alloc(entries.length * 6);
  for (const [i, [id, value]] of entries.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return frame(Type.Settings, 0, 0, payload);
};

export const headers = (stream: number, fields: Fields, isEnd = true): Buffer =>
  frame(Type.Headers, Flag.EndHeaders | (isEnd ? Flag.EndStream : 0), stream, block(fields));

export const reset = (stream: number, code: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(code);
  return frame(Type.RstStream, 0, stream, payload);
};

export const windowUpdate = (stream: number, increment: number): Buffer => {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame(Type.WindowUpdate, 0, stream, payload);
};

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export interface FrameCaller {
  readonly socket: net.Socket;
  readonly frames: Frame[];
  isClosed: boolean;
  /** Waits for what the kernel cannot take yet. False once the connection is gone. */
  send(bytes: Buffer): Promise<boolean>;
}

export const readFrames = (pending: Buffer, frames: Frame[]): Buffer => {
  let rest = pending;
  while (rest.length >= 9) {
    const length = rest.readUIntBE(0, 3);
    if (rest.length < 9 + length) break;
    frames.push({
      type: rest[3] as number,
      flags: rest[4] as number,
      stream: rest.readUInt32BE(5),
      payload: Buffer.from(rest.subarray(9, 9 + length)),
    });
    rest = rest.subarray(9 + length);
  }
  return rest;
};

/** Connected, with the preface and SETTINGS sent. `reads` false leaves everything that comes where it is. */
export const frameCaller = async (
  port: number,
  options: { readonly settings?: Parameters<typeof settings>[0]; readonly reads?: boolean } = {},
): Promise<FrameCaller> => {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
  let pending: Buffer = Buffer.alloc(0);
  const caller: FrameCaller = {
    socket,
    frames: [],
    isClosed: false,
    send: async (bytes) => {
      if (caller.isClosed) return false;
      if (!socket.write(bytes))
        await new Promise<void>((resolve) => {
          socket.once('drain', resolve);
          socket.once('close', resolve);
        });
      // Lets what came meanwhile be seen.
      await new Promise((resolve) => setImmediate(resolve));
      return !caller.isClosed;
    },
  };
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.from(readFrames(Buffer.concat([pending, chunk]), caller.frames));
  });
  if (options.reads === false) socket.pause();
  socket.on('error', () => {});
  socket.on('close', () => (caller.isClosed = true));
  closing(() => {
    socket.destroy();
  });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(PREFACE);
  socket.write(settings(options.settings ?? []));
  return caller;
};
