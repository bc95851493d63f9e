import { describe, expect, it } from 'vitest';
import { Outbox, type Sender } from '#adapters/dataplane-node/http2/outbox.ts';
import type { SocketWriter } from '#adapters/dataplane-node/socket-writer.ts';

class Wire {
  isFull = false;
  text = '';
  left = '';
  write(text: string): void {
    this.text += text;
  }
  flush(): void {
    this.left += this.text;
    this.text = '';
  }
}

const open = () => {
  const wire = new Wire();
  return { wire, outbox: new Outbox(wire as unknown as SocketWriter) };
};

/** Sends its letters one by one. */
const sender = (outbox: Outbox, letters: string): Sender => {
  let rest = letters;
  return {
    sendOne: () => {
      if (rest === '') return false;
      outbox.write(rest[0] as string);
      rest = rest.slice(1);
      return true;
    },
  };
};

describe('what leaves a connection', () => {
  it('takes turns', () => {
    const { wire, outbox } = open();
    for (const letters of ['aaa', 'b', 'cc']) outbox.await(sender(outbox, letters));
    outbox.pump();
    outbox.flush();
    expect(wire.left).toBe('abcaca');
  });

  it('waits while the connection is full, and for nobody who has gone', () => {
    const { wire, outbox } = open();
    const gone = sender(outbox, 'g');
    outbox.await(gone);
    outbox.await(sender(outbox, 'a'));
    wire.isFull = true;
    outbox.pump();
    expect(wire.text).toBe('');
    wire.isFull = false;
    outbox.forget(gone);
    outbox.pump();
    expect(wire.text).toBe('a');
  });

  it('leaves together at the end of the round', async () => {
    const { wire, outbox } = open();
    outbox.write('a');
    outbox.write('b');
    expect(wire.left).toBe('');
    await new Promise((resolve) => setImmediate(resolve));
    expect(wire.left).toBe('ab');
  });

  it('does not gather for ever', () => {
    const { wire, outbox } = open();
    outbox.write('x'.repeat(70_000));
    expect(wire.left.length).toBe(70_000);
  });

  it('has a window that may not grow beyond all bounds', () => {
    const { outbox } = open();
    expect(outbox.widen(2 ** 31 - 1 - 65_535)).toBe(true);
    expect(outbox.widen(1)).toBe(false);
  });
});
