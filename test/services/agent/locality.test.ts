import { describe, expect, it } from 'vitest';
import { parseProcessConfig } from '#services/agent/config.ts';

describe('WEIR_LOCALITY', () => {
  it.each(['eu-west/a', 'eu-west'])('may be %s', (text) => {
    expect(parseProcessConfig({ WEIR_LOCALITY: text }, 'edge').locality).toBe(text);
  });

  it('may be absent', () => {
    expect(parseProcessConfig({}, 'edge').locality).toBeUndefined();
  });

  it.each(['eu/', '/a', 'eu/a/b', 'eu west'])('may not be %j', (text) => {
    expect(() => parseProcessConfig({ WEIR_LOCALITY: text }, 'edge')).toThrow(/region\/zone/);
  });
});
