// Passes an upstream's answer on: head with policy's changes, body re-framed for the caller, or held back for a filter.
import type { Forward, Pipeline } from '#engine/pipeline/exchange.ts';
import type { Downstream } from '../downstream/downstream.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import { downstreamHead, type Framing, framingOf, trailerLines } from './downstream-head.ts';
import { ResponseBody } from './response-body.ts';

/** An upstream connection serves other exchanges only after the end of this answer, so its head stays valid until then. */
export class ResponseWriter {
  private readonly downstream: Downstream;
  private readonly pipeline: Pipeline;
  private readonly forward: Forward;
  private readonly head: ResponseHead;
  private readonly framing: Framing;
  private held: ResponseBody | undefined;
  bytes = 0;

  constructor(downstream: Downstream, pipeline: Pipeline, forward: Forward, head: ResponseHead) {
    this.downstream = downstream;
    this.pipeline = pipeline;
    this.forward = forward;
    this.head = head;
    const { method, minor } = downstream.request.head;
    this.framing = framingOf(head, method, minor);
  }

  /** The connection has to close to say where the answer ends. */
  get endsByClose(): boolean {
    return this.framing.type === 'close';
  }

  start(): void {
    const { forward, head } = this;
    this.pipeline.respond(forward.exchange, head);
    const most = forward.collectResponseBytes;
    if (most > 0 && this.pipeline.wantsBody(forward.exchange, head)) {
      if (head.bodyLength === 0) {
        // What GET would be answered with has another length.
        this.writeHead({ type: 'none' });
        return;
      }
      if (head.declaredLength <= most) {
        this.held = new ResponseBody(most);
        return;
      }
    }
    this.writeHead(this.framing);
  }

  run(bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
    const { held } = this;
    if (held === undefined) {
      this.downstream.writeRun(bytes, start, end, this.framing.type === 'chunked');
      return;
    }
    if (held.add(bytes, start, end)) return;
    // Larger than policy wants to hold: it passes as it is.
    this.held = undefined;
    const whole = held.take();
    this.writeHead(this.framing);
    this.downstream.writeRun(whole, 0, whole.length, this.framing.type === 'chunked');
  }

  end(trailers: FieldSection | undefined): void {
    if (this.held) this.passHeld(this.held.take());
    else if (this.framing.type === 'chunked')
      this.downstream.writeTrailers(trailers ? trailerLines(trailers) : '');
  }

  private passHeld(body: Buffer): void {
    const { forward, head } = this;
    const changed = this.pipeline.transformBody(forward.exchange, head, body) ?? body;
    const bytes = Buffer.from(changed.buffer, changed.byteOffset, changed.byteLength);
    this.bytes = bytes.length;
    this.writeHead({ type: 'length', bytes: bytes.length });
    this.downstream.writeRun(bytes, 0, bytes.length, false);
  }

  private writeHead(framing: Framing): void {
    this.downstream.writeHead(
      downstreamHead(this.head, this.forward.exchange, {
        framing,
        minor: this.downstream.request.head.minor,
        staysOpen: this.downstream.keepsOpen() && framing.type !== 'close',
      }),
    );
  }
}
