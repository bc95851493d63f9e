// What the compiler says about documents: values, all of them at once, each with a place and a way out.
export const diagnosticCodes = {
  ERR_YAML_SYNTAX: 'the document is not valid YAML',
  ERR_YAML_TOO_LARGE: 'the document exceeds the size, depth or alias limit',
  ERR_RESOURCE_KIND_UNKNOWN: 'no such kind',
  ERR_RESOURCE_API_VERSION: 'apiVersion is not weir.dev/v1 and no dialect claims it',
  ERR_RESOURCE_DUPLICATE: 'two documents have the same kind, namespace and name',
  ERR_FIELD_UNKNOWN: 'no such field',
  ERR_FIELD_MISSING: 'a required field is absent',
  ERR_FIELD_TYPE: 'the value has the wrong type',
  ERR_FIELD_VALUE: 'the value is out of range or not one of the choices',
  ERR_FIELD_CONFLICT: 'fields that exclude each other are set together',
  ERR_POLICY_NOT_SUPPORTED: 'no data plane of this scope enforces the field',
  ERR_POLICY_UNKNOWN_GATEWAY: 'the gateway or listener referred to does not exist',
  ERR_POLICY_UNKNOWN_SERVICE: 'the service referred to does not exist',
  ERR_POLICY_UNKNOWN_VERSION: 'the service has no such version',
  ERR_POLICY_UNKNOWN_TARGET: 'a targetRef points to nothing',
  ERR_POLICY_WEIGHTS: 'weights do not add up',
  ERR_POLICY_EXPRESSION: 'the condition in the Common Expression Language cannot be used',
  ERR_POLICY_REGEX: 'the pattern is invalid or can take exponential time',
  ERR_POLICY_CORS_CREDENTIALS: 'any origin together with credentials',
  ERR_POLICY_PORT_CONFLICT: 'two listeners want the same port',
  ERR_POLICY_KEY_WEAK: 'a key is too weak or of a forbidden type',
  ERR_POLICY_FILE: 'a file that the policy names cannot be read or understood',
  ERR_POLICY_LISTENER_TLS: 'an HTTPS listener without a certificate',
  WARN_ROUTE_UNREACHABLE: 'an earlier rule always matches first',
  WARN_SERVICE_NO_ENDPOINTS: 'the service has no endpoint yet',
  WARN_POLICY_UNATTACHED: 'the policy applies to nothing',
  WARN_POLICY_CONNECTIONS: 'the policy speaks of requests, and the listener forwards bytes',
  WARN_POLICY_KEYS_ABSENT: 'the keys of an issuer have not been fetched',
  WARN_POLICY_LOGIN_PATH: 'two logins of one host want the same path',
  WARN_DECISION_VERSION: 'a standing decision names a version that the service does not have',
} as const;

export type DiagnosticCode = keyof typeof diagnosticCodes;

export interface Location {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  readonly location?: Location;
  /** `Route/bibby/catalog`, where known; an error quarantines this resource. */
  readonly resource?: string;
  /** Dotted path inside the document: `spec.rules[0].timeout`. */
  readonly path?: string;
}

/** `policies/route.yaml:14:5 ERR_POLICY_UNKNOWN_SERVICE no service named "cart" (hint)` */
export const formatDiagnostic = (diagnostic: Diagnostic): string => {
  const at = diagnostic.location;
  const place = at ? `${at.file}:${at.line}:${at.column} ` : '';
  return `${place}${diagnostic.code} ${diagnostic.message}\n    ${diagnostic.hint}`;
};
