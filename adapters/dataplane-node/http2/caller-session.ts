// One HTTP/2 connection of a caller.
import {
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { Deadline } from '../deadlines.ts';
import type { CallerConnection, ConnectionHome } from '../downstream/connection-home.ts';
import type { PeerFacts } from '../downstream/request-view.ts';
import { enterRead, leaveRead } from '../event-rounds.ts';
import type { PlaneContext } from '../exchange/context.ts';
import { CallerStream, type StreamHome } from './caller-stream.ts';
import type { FieldList } from './head-text.ts';
import { CONNECTION_WINDOW, callerOptions } from './session-options.ts';

const END_STREAM = 1;
/** Far more than keep-alive and bandwidth probes need. */
const MAX_CONTROL_FRAMES = 1000;
const CONTROL_FRAMES_PER_MS = 0.5;
/** How long a caller may take to go after it was told that no more is served. */
const FAREWELL_MS = 5000;

export class CallerSession extends Deadline implements CallerConnection, StreamHome {
  readonly home: ConnectionHome;
  readonly peer: PeerFacts;
  readonly context: PlaneContext;
  private readonly session: ServerHttp2Session;
  private readonly streams = new Set<CallerStream>();
  private served = 0;
  private isLeaving = false;
  private controlFrames = 0;
  private controlAt = 0;

  constructor(socket: Socket, home: ConnectionHome, peer: PeerFacts, context: PlaneContext) {
    super();
    this.home = home;
    this.peer = peer;
    this.context = context;
    const session = performServerHandshake(socket, callerOptions);
    this.session = session;
    session.setLocalWindowSize(CONNECTION_WINDOW);
    session.on('stream', (stream, _fields, flags, list?: FieldList) =>
      this.open(stream, flags, list ?? []),
    );
    session.on('ping', () => this.onControlFrame());
    session.on('remoteSettings', () => this.onControlFrame());
    // Whatever it was, `close` follows.
    session.on('error', () => {});
    session.on('close', () => this.onClose());
    this.armIn(home.plan.first.limits.headerTimeoutMs);
  }

  forget(stream: CallerStream): void {
    this.streams.delete(stream);
    if (this.streams.size > 0 || this.session.destroyed) return;
    this.armIn(this.isLeaving ? FAREWELL_MS : this.home.plan.first.limits.idleTimeoutMs);
  }

  /** GOAWAY: streams under way are finished, later ones were not looked at. */
  drain(): void {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.session.close();
    if (this.streams.size === 0) this.armIn(FAREWELL_MS);
  }

  cutRevoked(pipeline: Pipeline): void {
    for (const stream of this.streams) stream.cutRevoked(pipeline);
  }

  destroy(): void {
    this.session.destroy();
  }

  /** Nothing is under way. */
  onDue(): void {
    if (this.streams.size > 0) return;
    if (this.isLeaving) this.destroy();
    else this.drain();
  }

  private open(stream: ServerHttp2Stream, flags: number, list: FieldList): void {
    const isEnded = (flags & END_STREAM) !== 0;
    const one = new CallerStream(stream, this, isEnded);
    this.streams.add(one);
    this.context.deadlines.arm(this, Number.POSITIVE_INFINITY);
    this.served++;
    // Streams begin right behind the read that brought them.
    enterRead();
    try {
      one.start(list);
    } catch (error) {
      this.context.log('stream failed', error);
      stream.destroy();
    }
    leaveRead();
    const most = this.home.plan.first.limits.maxRequestsPerConnection;
    if (most > 0 && this.served >= most) this.drain();
  }

  /** PING and SETTINGS have to be answered, so somebody who sends nothing else is sent away. */
  private onControlFrame(): void {
    const { now } = this.context.deadlines;
    const regained = (now - this.controlAt) * CONTROL_FRAMES_PER_MS;
    this.controlFrames = Math.max(0, this.controlFrames - regained) + 1;
    this.controlAt = now;
    if (this.controlFrames <= MAX_CONTROL_FRAMES || this.session.destroyed) return;
    this.session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  private onClose(): void {
    this.context.deadlines.disarm(this);
    this.home.forget(this);
  }

  private armIn(ms: number): void {
    const { deadlines } = this.context;
    deadlines.arm(this, ms === 0 ? Number.POSITIVE_INFINITY : deadlines.now + ms);
  }
}
