// What agents send becomes typed here, once. An agent speaks for itself only: the subject, which the server guards, and
// the payload must name the same agent and scope.
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { isScope } from '#engine/model/scope.ts';
import { subjectToken } from '#engine/model/subjects.ts';
import type { Ack, Heartbeat, Sample } from '#engine/model/telemetry.ts';
import type { BusMessage } from '#engine/ports/bus.ts';
import { decodeJson } from './codec.ts';

const count = () => Type.Integer({ minimum: 0 });
const figure = () => Type.Number({ minimum: 0 });
const text = (maxLength = 4096) => Type.String({ maxLength });
const name = () => Type.String({ minLength: 1, maxLength: 253 });
const counts = () => Type.Record(Type.String(), count());

const ack = Compile(
  Type.Object({
    v: Type.Literal(1),
    type: Type.Literal('ack'),
    agent: name(),
    scope: text(),
    message: Type.Enum(['snapshot', 'decision', 'trial', 'unreadable']),
    outcome: Type.Enum(['applied', 'orphan', 'stale', 'rejected']),
    position: count(),
    revision: count(),
    appliedPosition: count(),
    tookMs: figure(),
    lagMs: Type.Number(),
    atMs: figure(),
    reason: Type.Optional(Type.String()),
  }),
);

const heartbeat = Compile(
  Type.Object({
    v: Type.Literal(1),
    type: Type.Literal('alive'),
    agent: name(),
    scope: text(),
    incarnation: text(),
    atMs: figure(),
    revision: count(),
    position: count(),
    state: Type.Enum(['live', 'static', 'starting', 'draining']),
    capabilities: Type.Array(Type.String(), { maxItems: 1000 }),
    workload: Type.Optional(
      Type.Object({
        namespace: name(),
        name: name(),
        labels: Type.Record(Type.String(), Type.String()),
        locality: Type.Optional(text(253)),
        endpoints: Type.Array(
          Type.Object({
            address: name(),
            port: Type.Integer({ minimum: 1, maximum: 65535 }),
          }),
          { maxItems: 10_000 },
        ),
      }),
    ),
    unknownKeys: Type.Optional(Type.Array(text(2048), { maxItems: 16 })),
    version: text(),
  }),
);

const sample = Compile(
  Type.Object({
    v: Type.Literal(1),
    type: Type.Literal('sample'),
    agent: name(),
    scope: text(),
    incarnation: text(),
    sequence: count(),
    startMs: figure(),
    spanMs: figure(),
    reporter: Type.Enum(['source', 'destination']),
    revision: count(),
    series: Type.Array(
      Type.Object({
        rule: Type.String(),
        service: Type.String(),
        version: Type.String(),
        source: Type.String(),
        requests: count(),
        errors: count(),
        statuses: counts(),
        flags: counts(),
        latency: Type.Object({
          zero: count(),
          buckets: Type.Array(Type.Integer()),
          sum: figure(),
        }),
        requestBytes: figure(),
        responseBytes: figure(),
        retries: count(),
        sheds: Type.Optional(count()),
      }),
    ),
    endpoints: Type.Optional(
      Type.Array(Type.Object({ endpoint: Type.String(), requests: count(), failures: count() })),
    ),
    denials: Type.Optional(
      Type.Array(
        Type.Object({
          policy: text(512),
          rule: Type.String({ pattern: '^[0-9]{0,6}$' }),
          requests: count(),
        }),
        { maxItems: 64 },
      ),
    ),
    audits: Type.Optional(
      Type.Array(Type.Object({ says: text(512), requests: count() }), { maxItems: 64 }),
    ),
    sticky: Type.Optional(
      Type.Array(
        Type.Object({ service: text(512), errors: Type.Array(count(), { maxItems: 512 }) }),
        { maxItems: 1000 },
      ),
    ),
    values: Type.Optional(
      Type.Array(
        Type.Object({
          service: text(512),
          version: text(253),
          metric: name(),
          count: count(),
          sum: Type.Number(),
          squares: figure(),
          refused: Type.Optional(count()),
        }),
        { maxItems: 1000 },
      ),
    ),
  }),
);

interface Speaker {
  readonly agent: string;
  readonly scope: string;
}

const open = <T extends Speaker>(
  validator: { Check(value: unknown): value is unknown },
  message: BusMessage,
  own: (said: T) => string,
): T | undefined => {
  try {
    const said = decodeJson(message.data, message.subject);
    if (!validator.Check(said)) return undefined;
    const typed = said as T;
    return isScope(typed.scope) && message.subject.endsWith(own(typed)) ? typed : undefined;
  } catch {
    return undefined;
  }
};

const scoped = ({ scope, agent }: Speaker): string => `.${scope}.${subjectToken(agent)}`;

/** Undefined for whatever is not understood or not the speaker's own. */
export const openAck = (message: BusMessage) => open<Ack>(ack, message, scoped);
export const openSample = (message: BusMessage) => open<Sample>(sample, message, scoped);
export const openHeartbeat = (message: BusMessage) =>
  open<Heartbeat>(heartbeat, message, ({ agent }) => `.alive.${subjectToken(agent)}`);
