// A hand-driven control plane on a real bus: publishes what a test says, hears what agents answer.
import { connectNats, type NatsBroker } from '#adapters/bus-nats/broker.ts';
import type { SigningKeys } from '#adapters/signer-ed25519/signer.ts';
import type { ControlMessage } from '#engine/model/control-message.ts';
import type { Scope } from '#engine/model/scope.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import type { Ack, Heartbeat, Sample } from '#engine/model/telemetry.ts';
import { controlKeys } from '#test/support/control-messages.ts';

export interface TestControl {
  readonly keys: Awaited<ReturnType<typeof controlKeys>>;
  readonly broker: NatsBroker;
  readonly acks: Ack[];
  readonly beats: Heartbeat[];
  readonly samples: Sample[];
  /** Sealed and stored on the message's subject; resolves with its sequence. */
  publish(message: ControlMessage): Promise<number>;
  /** Stored as they are, where the scope's snapshot belongs. */
  publishBytes(scope: Scope, bytes: Uint8Array): Promise<number>;
  /** Resolves with the ack of the message at the position. */
  acked(position: number): Promise<Ack>;
  close(): Promise<void>;
}

export const startTestControl = async (
  url: string,
  own: { readonly keys?: SigningKeys; readonly credentials?: string } = {},
): Promise<TestControl> => {
  const keys = await controlKeys(own.keys);
  const { credentials } = own;
  const broker = await connectNats({
    url,
    name: 'control',
    ...(credentials === undefined ? {} : { credentials }),
  });
  const of = subjects();
  const acks: Ack[] = [];
  const beats: Heartbeat[] = [];
  const samples: Sample[] = [];
  const waiting = new Map<number, (ack: Ack) => void>();
  const listen = async <T>(subject: string, hear: (said: T) => void): Promise<void> => {
    for await (const { data } of broker.bus.subscribe(subject))
      hear(JSON.parse(new TextDecoder().decode(data)) as T);
  };
  void listen<Ack>(of.everyAck, (ack) => {
    acks.push(ack);
    waiting.get(ack.position)?.(ack);
  });
  void listen<Heartbeat>(of.everyAlive, (beat) => beats.push(beat));
  void listen<Sample>(of.everySample, (sample) => samples.push(sample));
  const log = await broker.log(streams.control);
  return {
    keys,
    broker,
    acks,
    beats,
    samples,
    publish: async (message) =>
      await log.append({
        subject:
          message.type !== 'decision'
            ? of[message.type](message.scope)
            : of.decision(message.scope, message.decision.body.type, message.decision.body.target),
        data: await keys.seal(message),
      }),
    publishBytes: (scope, data) => log.append({ subject: of.snapshot(scope), data }),
    acked: (position) =>
      new Promise((resolve) => {
        const known = acks.find((ack) => ack.position === position);
        if (known) resolve(known);
        else waiting.set(position, resolve);
      }),
    close: () => broker.close(),
  };
};
