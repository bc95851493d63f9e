// Frames of HTTP/2 (RFC 9113 4 and 6) as Latin-1 text: what leaves is gathered as one string.

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

export const Flag = {
  EndStream: 1,
  Ack: 1,
  EndHeaders: 4,
  Padded: 8,
  Priority: 32,
} as const;

/** RFC 9113 7. */
export const ErrorCode = {
  NoError: 0,
  Protocol: 1,
  Internal: 2,
  FlowControl: 3,
  StreamClosed: 5,
  FrameSize: 6,
  RefusedStream: 7,
  Compression: 9,
  EnhanceYourCalm: 11,
} as const;

export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
} as const;

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** What both sides take at least, and this one at most. */
export const MAX_FRAME_SIZE = 16_384;
/** What anybody may offer to take. */
export const LARGEST_FRAME_SIZE = 2 ** 24 - 1;
export const FRAME_HEAD = 9;
export const MAX_WINDOW = 2 ** 31 - 1;
/** Of every stream and connection at first. */
export const FIRST_WINDOW = 65_535;

const word = (value: number): string =>
  String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);

export const frame = (type: number, flags: number, stream: number, payload: string): string => {
  const { length } = payload;
  return (
    String.fromCharCode(
      length >>> 16,
      (length >>> 8) & 255,
      length & 255,
      type,
      flags,
      stream >>> 24,
      (stream >>> 16) & 255,
      (stream >>> 8) & 255,
      stream & 255,
    ) + payload
  );
};

/** HEADERS, and as many CONTINUATION as the block needs. */
export const headersFrames = (stream: number, block: string, isEnd: boolean): string => {
  const end = isEnd ? Flag.EndStream : 0;
  if (block.length <= MAX_FRAME_SIZE)
    return frame(FrameType.Headers, Flag.EndHeaders | end, stream, block);
  let text = frame(FrameType.Headers, end, stream, block.slice(0, MAX_FRAME_SIZE));
  for (let at = MAX_FRAME_SIZE; at < block.length; at += MAX_FRAME_SIZE) {
    const flags = at + MAX_FRAME_SIZE >= block.length ? Flag.EndHeaders : 0;
    text += frame(FrameType.Continuation, flags, stream, block.slice(at, at + MAX_FRAME_SIZE));
  }
  return text;
};

export const dataFrame = (stream: number, body: string, isEnd: boolean): string =>
  frame(FrameType.Data, isEnd ? Flag.EndStream : 0, stream, body);

export const resetFrame = (stream: number, code: number): string =>
  frame(FrameType.RstStream, 0, stream, word(code));

export const windowFrame = (stream: number, increment: number): string =>
  frame(FrameType.WindowUpdate, 0, stream, word(increment));

/** `payload` of 8 bytes. */
export const pingFrame = (payload: string, isAnswer: boolean): string =>
  frame(FrameType.Ping, isAnswer ? Flag.Ack : 0, 0, payload);

export const goAwayFrame = (lastStream: number, code: number): string =>
  frame(FrameType.GoAway, 0, 0, word(lastStream) + word(code));

export const settingsFrame = (
  settings: readonly (readonly [id: number, value: number])[],
): string =>
  frame(
    FrameType.Settings,
    0,
    0,
    settings.map(([id, value]) => String.fromCharCode(id >> 8, id & 255) + word(value)).join(''),
  );

export const SETTINGS_ANSWER = frame(FrameType.Settings, Flag.Ack, 0, '');

export const readWord = (bytes: Buffer, at: number): number =>
  (bytes[at] as number) * 0x1000000 +
  (((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number));
