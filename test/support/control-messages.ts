// Control messages of one scope, plain and sealed, and the keys to seal them with.
import {
  createSigner,
  createVerifier,
  generateSigningKeys,
  type SigningKeys,
} from '#adapters/signer-ed25519/signer.ts';
import {
  type ControlMessage,
  type DecisionMessage,
  encodeMessage,
  type SnapshotMessage,
  type TrialMessage,
} from '#engine/model/control-message.ts';
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

const header = { v: 1, mesh: 'default', scope: 'edge.public', issuedMs: 0 } as const;

export const snapshotMessage = (
  position: number,
  revision: number,
  snapshot = emptySnapshot,
): SnapshotMessage => ({ ...header, type: 'snapshot', position, revision, snapshot });

export const trialMessage = (
  position: number,
  revision: number,
  only: readonly string[],
  snapshot = emptySnapshot,
): TrialMessage => ({ ...header, type: 'trial', position, revision, only, snapshot });

export const decisionMessage = (
  position: number,
  basis: number,
  target = 'bibby/catalog',
): DecisionMessage => ({
  ...header,
  type: 'decision',
  position,
  basis,
  decision: {
    id: `split:${target}`,
    serial: position,
    body: { type: 'split', target, weights: { 'v1.1': position } },
    by: 'rollout:bibby/catalog',
    reason: 'step',
  },
});

/** A control plane's keys: what it seals with, and what agents trust. */
export const controlKeys = async (given?: SigningKeys) => {
  const { privateJwk, jwks } = given ?? (await generateSigningKeys());
  const signer = createSigner(privateJwk);
  return {
    jwks,
    verifier: createVerifier(jwks),
    seal: (message: ControlMessage): Promise<Uint8Array> => signer.seal(encodeMessage(message)),
  };
};
