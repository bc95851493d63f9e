// The parts of a snapshot that say who may come in: callers, their credentials, what they may do, and how much.
import type { Origin } from './origin.ts';

export interface AuthenticationPlan {
  readonly origin: Origin;
  readonly mode: 'required' | 'optional' | 'audit';
  readonly methods: readonly AuthenticationMethod[];
}

export type AuthenticationMethod =
  | { readonly type: 'jwt'; readonly issuers: readonly IssuerPlan[] }
  | {
      readonly type: 'apiKey';
      readonly header: string;
      readonly query?: string;
      readonly forwardKey: boolean;
    }
  | { readonly type: 'basic'; readonly realm: string }
  | { readonly type: 'clientCertificate'; readonly principalFrom: 'spiffe' | 'dns' | 'subject' }
  | IntrospectionPlan
  | LoginPlan
  | ({ readonly type: 'forward'; readonly principalHeader?: string } & CallOutPlan);

/** Signing in with OpenID Connect. */
export interface LoginPlan {
  readonly type: 'oidc';
  /** Whose ID tokens are believed; the client is their only audience. */
  readonly issuer: IssuerPlan;
  /** As discovery found them; absent while the issuer has not answered yet. */
  readonly endpoints?: IssuerEndpoints;
  readonly clientId: string;
  /** On the agent's machine, both. */
  readonly clientSecretFile: string;
  readonly cookieSecretFile?: string;
  readonly redirectPath: string;
  readonly logoutPath: string;
  readonly scopes: readonly string[];
  readonly sessionMs: number;
  readonly publicOrigin?: string;
}

export interface IssuerEndpoints {
  readonly authorization: string;
  readonly token: string;
  readonly endSession?: string;
  /** RFC 9207: its answers say whose they are. */
  readonly namesItself: boolean;
  /** The token endpoint takes the client's secret in the body only. */
  readonly secretInBody: boolean;
}

export interface IntrospectionPlan {
  readonly type: 'introspection';
  readonly endpoint: string;
  readonly clientId: string;
  /** On the agent's machine. */
  readonly clientSecretFile: string;
  readonly cacheMs: number;
  readonly timeoutMs: number;
  readonly audiences: readonly string[];
  readonly claimsToHeaders: readonly (readonly [claim: string, header: string])[];
  readonly forwardToken: boolean;
}

/** Whom to ask whether a request may pass. Header names are in lower case. */
export interface CallOutPlan {
  readonly url: string;
  readonly timeoutMs: number;
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly onFailure: 'closed' | 'open';
}

export interface IssuerPlan {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly requireAudience: boolean;
  readonly algorithms: readonly string[];
  /** Public JWKs, already admitted (no `oct`, RSA at least 2048 bits). */
  readonly keys: readonly Readonly<Record<string, unknown>>[];
  /** For the HS algorithms. */
  readonly secret?: string;
  readonly clockSkewMs: number;
  readonly claimsToHeaders: readonly (readonly [claim: string, header: string])[];
  readonly from: { readonly header?: string; readonly cookie?: string; readonly query?: string };
  readonly forwardToken: boolean;
}

export interface AuthorizationPlan {
  readonly origin: Origin;
  readonly action: 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';
  /** Of CUSTOM. */
  readonly provider?: CallOutPlan;
  readonly mode: 'enforce' | 'audit' | 'off';
  /** As written: here an empty list and an absent list differ. */
  readonly rules: readonly AuthorizationRule[];
}

export interface AuthorizationRule {
  readonly from?: readonly AuthorizationSource[];
  readonly to?: readonly AuthorizationOperation[];
  readonly when?: readonly {
    readonly key: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
  readonly cel?: string;
}

type Lists<K extends string> = { readonly [P in K | `not${Capitalize<K>}`]?: readonly string[] };
export type AuthorizationSource = Lists<
  'principals' | 'requestPrincipals' | 'namespaces' | 'ipBlocks' | 'remoteIpBlocks'
>;
export type AuthorizationOperation = Lists<'hosts' | 'ports' | 'methods' | 'paths'>;

export interface QuotaPlan {
  readonly id: string;
  readonly origin: Origin;
  readonly mode: 'enforce' | 'audit' | 'off';
  readonly by: 'caller' | 'address' | 'header' | 'route' | 'all';
  readonly header?: string;
  readonly limits: readonly { readonly requests: number; readonly windowMs: number }[];
  readonly scope: 'local' | 'fleet';
  readonly algorithm: 'sliding' | 'fixed';
  readonly headers: boolean;
  readonly status: number;
}

export interface ConsumerPlan {
  readonly name: string;
  readonly groups: readonly string[];
  readonly apiKeys: readonly {
    readonly id: string;
    readonly salt: string;
    readonly hash: string;
    readonly expiresMs: number;
  }[];
  readonly basic?: { readonly username: string; readonly hash: string };
  readonly jwt?: { readonly issuer: string; readonly subject: string };
  readonly certificates: readonly string[];
}
