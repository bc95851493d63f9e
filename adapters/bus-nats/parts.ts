// Values over the server's limit travel in parts. Each part but the last is stored under `<subject>.part.<n>`, the last
// one (the head) on the subject itself, after them; so a reader that sees a head can have seen all that belongs to it.
import { headers, type MsgHdrs } from '@nats-io/nats-core';

const SET = 'Weir-Set';
const COUNT = 'Weir-Parts';
const INDEX = 'Weir-Part';
/** Headers and protocol lines count against the server's limit too. */
const OVERHEAD_BYTES = 4096;
export const MAX_VALUE_BYTES = 64 * 1024 * 1024;

export interface Part {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs;
}

export const partSubject = (subject: string, index: number): string => `${subject}.part.${index}`;
export const everyPart = (subject: string): string => `${subject}.part.*`;
const isPart = (subject: string): boolean => /\.part\.\d+$/.test(subject);

/** In the order in which they are to be stored. One element means that the value fits. */
export const split = (
  subject: string,
  data: Uint8Array,
  limit: { readonly maxPayload: number; readonly setId: () => string },
): Part[] => {
  const size = Math.max(1, limit.maxPayload - OVERHEAD_BYTES);
  const count = Math.max(1, Math.ceil(data.byteLength / size));
  if (count === 1) return [{ subject, data, headers: headers() }];
  const set = limit.setId();
  return Array.from({ length: count }, (_, index) => {
    const marks = headers();
    marks.set(SET, set);
    marks.set(COUNT, String(count));
    marks.set(INDEX, String(index));
    return {
      subject: index === count - 1 ? subject : partSubject(subject, index),
      data: data.subarray(index * size, (index + 1) * size),
      headers: marks,
    };
  });
};

interface Marks {
  readonly set: string;
  readonly count: number;
  readonly index: number;
}

export const marksOf = (found: MsgHdrs | undefined): Marks | undefined => {
  const set = found?.get(SET);
  if (!found || set === undefined || set === '') return undefined;
  return { set, count: Number(found.get(COUNT)), index: Number(found.get(INDEX)) };
};

/** Puts sets together again. Of each subject only the newest set can still become whole. */
export class Assembler {
  readonly #sets = new Map<string, { readonly set: string; readonly parts: Uint8Array[] }>();

  /** The value if the message is one or completes one; undefined for a part, or for the head of a torn set. */
  take(subject: string, data: Uint8Array, marks: Marks | undefined): Uint8Array | undefined {
    if (!marks) {
      this.#sets.delete(subject);
      return isPart(subject) ? undefined : data;
    }
    const { set, count, index } = marks;
    const isHead = index === count - 1;
    const head = isHead ? subject : subject.replace(/\.part\.\d+$/, '');
    let open = this.#sets.get(head);
    if (open?.set !== set) {
      open = { set, parts: [] };
      this.#sets.set(head, open);
    }
    open.parts[index] = data;
    if (!isHead) return undefined;
    this.#sets.delete(head);
    return joined(open.parts, count);
  }

  clear(): void {
    this.#sets.clear();
  }
}

const joined = (parts: readonly (Uint8Array | undefined)[], count: number) => {
  const whole: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const part = parts[index];
    if (!part) return undefined;
    whole.push(part);
  }
  const bytes = new Uint8Array(whole.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of whole) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
};
