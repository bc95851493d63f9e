import { parseDuration } from '../../model/duration.ts';
import { parseMoment } from '../../model/moment.ts';
import { parsePasswordHash } from '../../model/password-hash.ts';
import type { Authentication, Consumer, Quota } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { exactlyOne } from './conflicts.ts';

const methodKinds = [
  'jwt',
  'apiKey',
  'basic',
  'clientCertificate',
  'introspection',
  'forward',
  'oidc',
] as const;

type IssuerSpec = NonNullable<Authentication['spec']['methods'][number]['jwt']>['issuers'][number];

export const checkAuthentication = ({ spec }: Authentication): readonly Finding[] =>
  spec.methods.flatMap((method, index) => {
    const path: Path = ['spec', 'methods', index];
    return [
      ...exactlyOne(method, methodKinds, path),
      ...(method.jwt?.issuers ?? []).flatMap((issuer, place) =>
        checkIssuer(issuer, [...path, 'jwt', 'issuers', place]),
      ),
      ...(method.oidc ? checkLogin(method.oidc, [...path, 'oidc']) : []),
    ];
  });

type LoginSpec = NonNullable<Authentication['spec']['methods'][number]['oidc']>;

const checkLogin = (login: LoginSpec, path: Path): readonly Finding[] => {
  const findings: Finding[] = [];
  if (!login.scopes.includes('openid'))
    findings.push({
      code: 'ERR_FIELD_VALUE',
      path: [...path, 'scopes'],
      message: 'scopes does not contain openid',
      hint: 'Without it the issuer sends no ID token, and nobody is signed in.',
    });
  if (login.redirectPath === login.logoutPath)
    findings.push({
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, 'logoutPath'],
      message: 'redirectPath and logoutPath are the same',
      hint: 'Give each a path of its own.',
    });
  for (const name of ['redirectPath', 'logoutPath'] as const)
    if (!/^(\/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+$/.test(login[name]))
      findings.push({
        code: 'ERR_FIELD_VALUE',
        path: [...path, name],
        message: `${name} cannot be ${login[name]}`,
        hint: 'Write a plain path such as /oauth2/callback.',
      });
  return findings;
};

const MAX_SKEW_MS = 60_000;

const checkIssuer = (issuer: IssuerSpec, path: Path): readonly Finding[] => {
  const findings: Finding[] = [];
  const hmac = issuer.algorithms.filter((name) => name.startsWith('HS'));
  const keys = ['jwks', 'jwksFile', 'jwksUri', 'discovery'];
  const secrets = ['secret', 'secretFile'];
  if (hmac.length > 0 && hmac.length < issuer.algorithms.length)
    findings.push({
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, 'algorithms'],
      message: 'shared-secret and public-key algorithms exclude each other',
      hint: 'Write two issuers, or keep one family: mixing them lets a public key pass for a secret.',
    });
  else
    findings.push(
      ...exactlyOne(issuer, hmac.length > 0 ? secrets : keys, path),
      ...foreign(issuer, hmac.length > 0 ? keys : secrets, path),
    );
  if (issuer.requireAudience && issuer.audiences.length === 0)
    findings.push({
      code: 'ERR_FIELD_MISSING',
      path: [...path, 'audiences'],
      message: 'audiences is missing',
      hint: 'Name who the token must be meant for, or set requireAudience to false.',
    });
  if (parseDuration(issuer.clockSkew) > MAX_SKEW_MS)
    findings.push({
      code: 'ERR_FIELD_VALUE',
      path: [...path, 'clockSkew'],
      message: `clockSkew cannot be ${issuer.clockSkew}`,
      hint: 'At most 60s.',
    });
  return findings;
};

const foreign = (issuer: IssuerSpec, members: readonly string[], path: Path): Finding[] =>
  members
    .filter((name) => (issuer as Readonly<Record<string, unknown>>)[name] !== undefined)
    .map((name) => ({
      code: 'ERR_FIELD_CONFLICT',
      path: [...path, name],
      part: 'key',
      message: `${name} is of no use to the algorithms ${issuer.algorithms.join(', ')}`,
      hint: 'HS algorithms take secret or secretFile, all others take keys.',
    }));

export const checkQuota = ({ spec }: Quota): readonly Finding[] => {
  const { by, header } = spec.key;
  const findings: Finding[] = [];
  if ((by === 'header') !== (header !== undefined))
    findings.push({
      code: by === 'header' ? 'ERR_FIELD_MISSING' : 'ERR_FIELD_CONFLICT',
      path: ['spec', 'key', 'header'],
      message: by === 'header' ? 'header is missing' : `a key by ${by} has no header`,
      hint: 'Name the header to count by together with "by: header", and only then.',
    });
  for (const [index, { window }] of spec.limits.entries())
    if (parseDuration(window) < 1000)
      findings.push({
        code: 'ERR_FIELD_VALUE',
        path: ['spec', 'limits', index, 'window'],
        message: `window cannot be ${window}`,
        hint: 'At least 1s.',
      });
  return findings;
};

export const checkConsumer = ({ spec }: Consumer): readonly Finding[] => [
  ...checkPassword(spec.basic?.hash),
  ...(spec.apiKeys ?? []).flatMap(({ expires }, index): Finding[] =>
    expires === undefined || parseMoment(expires) !== undefined
      ? []
      : [
          {
            code: 'ERR_FIELD_VALUE',
            path: ['spec', 'apiKeys', index, 'expires'],
            message: `"${expires}" is no moment`,
            hint: 'Write 2027-01-31T00:00:00Z.',
          },
        ],
  ),
];

const checkPassword = (hash: string | undefined): readonly Finding[] =>
  hash === undefined || parsePasswordHash(hash) !== undefined
    ? []
    : [
        {
          code: 'ERR_FIELD_VALUE',
          path: ['spec', 'basic', 'hash'],
          message: 'this is no hash of a password, or one that is too costly to check',
          hint: '`weir consumer password NAME` makes one: scrypt:N:r:p:salt:key.',
        },
      ];
