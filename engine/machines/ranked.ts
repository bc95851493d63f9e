/** In the same order for everyone who asks, and in another one for another seed. */
export const ranked = (agents: readonly string[], seed: string): readonly string[] =>
  agents
    .map((agent) => ({ agent, rank: hash(`${seed}|${agent}`) }))
    .sort((a, b) => a.rank - b.rank || (a.agent < b.agent ? -1 : 1))
    .map(({ agent }) => agent);

const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1)
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  return value >>> 0;
};
