// Draws a machine as a mermaid state diagram, from its own configuration.
import type { AnyStateMachine } from 'xstate';

interface Edge {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

export const mermaid = (machine: AnyStateMachine): string => {
  const initial = machine.root.initial.target[0]?.key ?? '';
  const edges = [
    ...transitionsOf(machine.root.on, 'any'),
    ...Object.values(machine.states).flatMap((state) => transitionsOf(state.on, state.key)),
  ];
  const lines = edges.map(({ from, to, label }) => `  ${from} --> ${to}: ${label}`);
  return ['stateDiagram-v2', `  [*] --> ${initial}`, ...new Set(lines)].join('\n');
};

type Transitions = AnyStateMachine['root']['on'];

/** Those that lead somewhere; what only takes note is left out. */
const transitionsOf = (on: Transitions, from: string): readonly Edge[] =>
  Object.entries(on).flatMap(([event, candidates]) =>
    candidates.flatMap(({ target, guard, reenter }) =>
      (target ?? [])
        .filter(({ key }) => key !== from || reenter)
        .map(({ key }) => ({
          from,
          to: key,
          label: typeof guard === 'string' ? `${event} [${guard}]` : event,
        })),
    ),
  );
