import type { Snapshot } from '#engine/model/snapshot.ts';

export const emptySnapshot: Snapshot = {
  listeners: [],
  hosts: [],
  rules: [],
  splits: {},
  upstreams: {},
  authentications: {},
  authorizations: {},
  quotas: {},
  consumers: [],
  standing: [],
};
