// Every subject, stream and bucket on the bus, in one place.
import type { Scope } from './scope.ts';

export const streams = {
  policy: 'WEIR_POLICY',
  control: 'WEIR_CONTROL',
  events: 'WEIR_EVENTS',
} as const;

export const buckets = {
  leader: 'weir-leader',
  standing: 'weir-standing',
  machines: 'weir-machines',
  ledger: 'weir-ledger',
} as const;

/** Decision targets, agent names and the like become one subject token each, and different ones different tokens. */
export const subjectToken = (text: string): string =>
  text.replace(/[^A-Za-z0-9_-]/gu, (character) =>
    Array.from(new TextEncoder().encode(character), (byte) => `=${byte.toString(16)}`).join(''),
  );

/** `*` stands for one token, `>` at the end for one or more. */
export const matchesSubject = (filter: string, subject: string): boolean => {
  const wanted = filter.split('.');
  const tokens = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (token !== '*' && token !== tokens[index]) return false;
    if (index >= tokens.length) return false;
  }
  return wanted.length === tokens.length;
};

export const subjects = (mesh = 'default') => {
  const root = `weir.${mesh}`;
  return {
    api: (noun: string, verb: string) => `${root}.api.${noun}.${verb}`,
    everyApi: `${root}.api.*.*`,
    policyCommit: `${root}.policy.commit`,
    policyCheckpoint: `${root}.policy.checkpoint`,
    everyPolicy: `${root}.policy.>`,
    snapshot: (scope: Scope) => `${root}.control.${scope}.snapshot`,
    trial: (scope: Scope) => `${root}.control.${scope}.trial`,
    decision: (scope: Scope, type: string, target: string) =>
      `${root}.control.${scope}.decision.${subjectToken(type)}.${subjectToken(target)}`,
    control: (scope: Scope) => `${root}.control.${scope}.>`,
    everyControl: `${root}.control.>`,
    ack: (scope: Scope, agent: string) => `${root}.ack.${scope}.${subjectToken(agent)}`,
    everyAck: `${root}.ack.>`,
    sample: (scope: Scope, agent: string) => `${root}.sample.${scope}.${subjectToken(agent)}`,
    everySample: `${root}.sample.>`,
    alive: (agent: string) => `${root}.alive.${subjectToken(agent)}`,
    everyAlive: `${root}.alive.*`,
    /** Published by the leader every second: last sequence of each stream, so that readers notice a silent watch. */
    heartbeat: `${root}.leader.alive`,
    /** Asked by the leader; whoever measures answers. */
    metric: (name: string) => `${root}.metric.${name}`,
    everyMetric: `${root}.metric.>`,
    event: (type: string) => `${root}.event.${type}`,
    everyEvent: `${root}.event.>`,
  };
};

export type Subjects = ReturnType<typeof subjects>;
