import { describe, expect, it } from 'vitest';
import { UnknownKeys } from '#services/agent/unknown-keys.ts';

const setUp = () => {
  const time = { nowMs: 0 };
  const keys = new UnknownKeys({ now: () => time.nowMs, monotonic: () => time.nowMs });
  let told = 0;
  keys.listen(() => {
    told += 1;
  });
  return { keys, time, told: () => told };
};

describe('issuers whose tokens name unknown keys', () => {
  it('are told of at once, then once a second', () => {
    const { keys, time, told } = setUp();
    keys.note('https://a.example');
    expect(keys.take()).toEqual(['https://a.example']);
    for (let i = 0; i < 100; i += 1) keys.note('https://a.example');
    expect(told()).toBe(1);
    time.nowMs = 1000;
    keys.note('https://b.example');
    expect(told()).toBe(2);
    expect(keys.take()).toEqual(['https://a.example', 'https://b.example']);
    expect(keys.take()).toEqual([]);
  });

  it('are bounded in number', () => {
    const { keys } = setUp();
    for (let i = 0; i < 100; i += 1) keys.note(`https://${i}.example`);
    expect(keys.take()).toHaveLength(16);
  });
});
