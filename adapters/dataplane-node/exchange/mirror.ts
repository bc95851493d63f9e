// A copy of a request for another upstream. Nobody waits for it, and its answer is read and thrown away.
import { Deadline } from '../deadlines.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { ClientConnection } from '../upstream/client.ts';
import type { UpstreamState } from '../upstream/upstream-state.ts';
import type { PlaneContext } from './context.ts';
import { FAILURES, type TryFailure } from './failures.ts';
import { Phase, Tries } from './tries.ts';

/** Requests that may be copied: the second one changes nothing, and there is no body to send twice. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
const TIMEOUT_MS = 15_000;
/** Copies under way; more are left out. */
const MAX_MIRRORS = 512;

export const mayMirror = (
  context: PlaneContext,
  request: { readonly method: string; readonly contentLength: number; readonly upgrades: boolean },
): boolean =>
  SAFE.has(request.method) &&
  request.contentLength === 0 &&
  !request.upgrades &&
  context.mirrors < MAX_MIRRORS;

export class Mirror extends Tries {
  readonly method: string;
  private readonly rule: string;
  private readonly head: string;
  private readonly deadline: Deadline;
  private status = 0;
  private bytes = 0;

  /** `head` is the whole request, written for `upstream`. */
  constructor(
    context: PlaneContext,
    upstream: UpstreamState,
    request: { readonly method: string; readonly rule: string; readonly head: string },
  ) {
    super(context);
    this.upstream = upstream;
    this.method = request.method;
    this.rule = request.rule;
    this.head = request.head;
    this.deadline = new MirrorDeadline(() => this.endBadly('timeout'));
  }

  start(): void {
    this.context.mirrors++;
    this.tryOnce();
  }

  onInformational(): void {}

  onResponseBytes(_bytes: Buffer, start: number, end: number): void {
    this.bytes += end - start;
  }

  onResponsePause(): void {}

  onUpstreamDrain(): void {}

  onUpstreamEnd(): void {}

  onResponseEnd(): void {
    this.endTry();
    this.conclude('');
  }

  onSwitched(): void {
    this.endBadly('protocol');
  }

  protected sendRequest(connection: ClientConnection): void {
    connection.writeHead(this.head);
    connection.endRequest();
    connection.flush();
  }

  protected acceptHead(head: ResponseHead): void {
    this.status = head.status;
  }

  protected endBadly(failure: TryFailure): void {
    if (this.phase === Phase.Done) return;
    this.abandonTry();
    if (this.status === 0) this.status = FAILURES[failure][0];
    this.conclude(FAILURES[failure][2]);
  }

  protected schedule(): void {
    this.context.deadlines.arm(this.deadline, this.startedAt + TIMEOUT_MS);
  }

  protected hedgeWriter(): undefined {
    return undefined;
  }

  private conclude(flag: string): void {
    this.phase = Phase.Done;
    this.context.mirrors--;
    this.context.deadlines.disarm(this.deadline);
    this.context.samples.record({
      rule: this.rule,
      service: this.upstream?.plan.service ?? '',
      version: this.upstream?.plan.version ?? '',
      source: 'mirror',
      protocol: 'http',
      isMutual: false,
      status: this.status,
      grpcStatus: undefined,
      flag,
      latencyMs: this.context.clock.monotonic() - this.startedAt,
      requestBytes: 0,
      responseBytes: this.bytes,
      retries: 0,
    });
  }
}

class MirrorDeadline extends Deadline {
  private readonly due: () => void;

  constructor(due: () => void) {
    super();
    this.due = due;
  }

  onDue(): void {
    this.due();
  }
}
