// Whose clock to believe: the agent's says which window it was, unless it is far off.
const toleranceMs = 60_000;

export const believedTime = (agentMs: number, controlMs: number): number =>
  Math.abs(agentMs - controlMs) <= toleranceMs ? agentMs : controlMs;
