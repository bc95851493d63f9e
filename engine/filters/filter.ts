// What a filter is: a kind is declared once, created once per rule and snapshot, and run once per request.
import type { Rule, Snapshot } from '../model/snapshot.ts';
import type { Exchange, Respond, ResponseView } from '../pipeline/exchange.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { Web } from '../ports/web.ts';
import type { Credential, Revocations } from './revocations.ts';

/** The exchange as filters see it: with the decisions that were in force when the request came in. */
export interface FilterExchange extends Exchange {
  readonly revocations: Revocations;
  /** What let the caller in: one for each policy that asked. */
  readonly credentials: Credential[];
  /** Wait so many milliseconds before forwarding. */
  delayMs: number;
  /** Query parameters that the upstream does not get to see. */
  hiddenQuery: Set<string> | undefined;
}

/** Undefined: go on with the next filter. */
export type FilterAction = Respond | undefined;

export interface Filter {
  /** Returns a promise only where it must wait. */
  request?(exchange: FilterExchange): FilterAction | Promise<FilterAction>;
  /** Called in reverse order, and only if `request` of this filter or of a later one has run. */
  response?(exchange: FilterExchange, response: ResponseView): void;
  readonly body?: BodyTransform;
  /** What it has to say about a request that came to it: for people who ask why. */
  explain?(exchange: FilterExchange): readonly Remark[];
}

export interface Remark {
  /** The resource that speaks. */
  readonly policy: string;
  readonly mode: 'enforce' | 'audit' | 'required' | 'optional';
  readonly says: string;
  /** Place of the rule that matched in the policy's list. */
  readonly rule?: number;
}

/** For filters that need the whole body of the upstream's answer. */
export interface BodyTransform {
  /** Longer bodies go through as they are. */
  readonly maxBytes: number;
  wants(exchange: FilterExchange, response: ResponseView): boolean;
  /** Undefined: leave it as it is. */
  transform(body: Uint8Array): Uint8Array | undefined;
}

export interface FilterKind {
  readonly name: string;
  /** Undefined: this rule does not need it. */
  create(rule: Rule, build: FilterBuild): Filter | undefined;
}

export interface FilterBuild {
  readonly snapshot: Snapshot;
  readonly deps: FilterDeps;
  /** Made once per snapshot and key, so that rules share what they have in common. */
  share<T>(key: string, make: () => T): T;
  /** Lives on from snapshot to snapshot while the newest one asks for it: counters, caches. */
  keep<T>(key: string, make: () => T): T;
}

export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** What a filter cannot make for itself. */
export interface FilterDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** SHA-256 of the UTF-8 text, lower-case hex. */
  readonly hash: (text: string) => string;
  /** RFC 7914. */
  readonly scrypt: (
    password: string,
    salt: Uint8Array,
    cost: ScryptCost,
    length: number,
  ) => Promise<Uint8Array>;
  /** For policies that leave a decision to another service. Absent: nobody can be asked, which counts as no answer. */
  readonly web?: Web;
  /**
   * Text of a file on this machine that a policy names, so that secrets need not travel; undefined if it cannot be read.
   * Read anew at every call.
   */
  readonly files?: (path: string) => string | undefined;
  /** 32 bytes that nobody can guess, base64url. Absent: nothing that needs them can be started. */
  readonly unguessable?: () => string;
  /** A token named a key that its issuer, as known here, does not have. Called for every such token. */
  readonly onUnknownKey?: (issuer: string) => void;
}
