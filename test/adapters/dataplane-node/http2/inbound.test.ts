import { expect, it } from 'vitest';
import { ErrorCode, PREFACE } from '#adapters/dataplane-node/http2/frames.ts';
import { Inbound, type InboundListener } from '#adapters/dataplane-node/http2/inbound.ts';
import { frame, settings, Type } from './frames.ts';

/** Faults, and the names of everything else that is told. */
const listen = () => {
  const told: (string | number)[] = [];
  const note = (name: string) => (): number => {
    told.push(name);
    return ErrorCode.NoError;
  };
  const listener: InboundListener = {
    isOver: false,
    onData: note('data'),
    onFields: note('fields'),
    onReset: note('reset'),
    onSetting: note('setting'),
    onSettings: note('settings'),
    onPing: note('ping'),
    onGoAway: note('goaway'),
    onWindow: note('window'),
    onIdleFrame: note('idle'),
    onFault: (code) => told.push(code),
  };
  return { told, inbound: new Inbound(listener) };
};

const PADDED = 8;

it.each([Type.Data, Type.Headers])('a padded frame of type %i has to have a padding', (type) => {
  const { told, inbound } = listen();
  // Nothing stands behind the frame that could be taken for its length of padding.
  const bytes = Buffer.concat([
    Buffer.from(PREFACE, 'latin1'),
    settings([]),
    frame(type, PADDED, 1, ''),
  ]);
  inbound.read(bytes, bytes.length);
  expect(told).toEqual(['settings', ErrorCode.Protocol]);
});
