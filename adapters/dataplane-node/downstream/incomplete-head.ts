// What can be said of a request head before its end has come: mistakes that no further byte can mend.
import { type HeadLimits, type Refusal, refusals } from '../http1/request-head.ts';

const LF = 10;
const CR = 13;
/** Method, version and blanks around the target. */
const LINE_OVERHEAD = 48;

const isUpper = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 65 && byte <= 90;

/** `known`: up to there an earlier call has looked. */
export const incompleteFault = (
  bytes: Buffer,
  range: { readonly start: number; readonly end: number; readonly known: number },
  limits: HeadLimits,
): Refusal | undefined => {
  const { start, end } = range;
  const first = bytes[start];
  // TLS hellos, HTTP/2 prefaces of other ports, noise.
  if (!isUpper(first) && !(first === CR && end - start === 1)) return refusals.requestLine;
  const firstLine = bytes.indexOf(LF, start);
  const hasLine = firstLine >= 0 && firstLine < end;
  if (!hasLine && end - start > limits.maxTargetBytes + LINE_OVERHEAD)
    return refusals.targetTooLong;
  if (end - start > limits.maxHeaderBytes) return refusals.tooLarge;
  let at = bytes.indexOf(LF, Math.max(start, range.known));
  while (at >= 0 && at < end) {
    if (at === start || bytes[at - 1] !== CR) return refusals.field;
    at = bytes.indexOf(LF, at + 1);
  }
  return undefined;
};
