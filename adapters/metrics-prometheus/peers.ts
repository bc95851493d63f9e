// The two ends of a request, as Istio's labels name them.

export const UNKNOWN = 'unknown';

export interface Caller {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly app: string;
  readonly version?: string | undefined;
  readonly principal?: string | undefined;
  /** Istio's word for what is a mesh here. */
  readonly cluster?: string | undefined;
}

/** Who this agent is: the source of what it sends, the destination of what it receives. */
export type OwnWorkload = Caller;

const nobody: Caller = { name: UNKNOWN, app: UNKNOWN };

/** `spiffe://cluster.local/ns/bibby/sa/library-service` */
const SPIFFE = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/([^/]+)$/;

/** A workload is known by its certificate; who logged in is a person, and people are too many for labels. */
export const callerOf = (source: string): Caller => {
  const [, namespace, account] = SPIFFE.exec(source) ?? [];
  if (namespace !== undefined && account !== undefined)
    return { name: account, namespace, app: account, principal: source };
  return source.startsWith('spiffe://') ? { ...nobody, principal: source } : nobody;
};
