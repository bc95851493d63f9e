// Answers that need no upstream.
import type { Rule } from '../model/snapshot.ts';
import type { RequestView, Respond } from './exchange.ts';

type Action = Rule['action'];

export const notFound = (request: RequestView): Respond => ({
  type: 'respond',
  status: 404,
  error: 'Not Found',
  reason: `no route for ${request.method} ${request.host}${request.path}`,
  flag: 'NR',
  headers: [],
});

export const unavailable = (reason: string): Respond => ({
  type: 'respond',
  status: 503,
  error: 'Service Unavailable',
  reason,
  flag: 'UH',
  headers: [],
});

export const revokedPeer: Respond = {
  type: 'respond',
  status: 403,
  error: 'Forbidden',
  reason: 'the certificate of the connection was revoked',
  flag: 'UAEX',
  headers: [],
};

export const reply = (action: Extract<Action, { type: 'respond' }>): Respond => ({
  type: 'respond',
  status: action.status,
  error: '',
  reason: '',
  flag: '',
  headers: [],
  body: action.body,
  contentType: action.contentType,
});

/** Gateway API: what is not given stays, and a given scheme brings its own port. */
export const redirect = (
  request: RequestView,
  action: Extract<Action, { type: 'redirect' }>,
): Respond => {
  const scheme = action.scheme ?? request.scheme;
  const host = action.host ?? request.host;
  const port = action.port ?? (action.scheme === undefined ? portOf(request) : undefined);
  const isDefault = port === undefined || port === (scheme === 'https' ? 443 : 80);
  const path = action.path ?? request.path;
  const query = request.query === '' ? '' : `?${request.query}`;
  const location = `${scheme}://${bracketed(host)}${isDefault ? '' : `:${port}`}${path}${query}`;
  return {
    type: 'respond',
    status: action.status,
    error: '',
    reason: '',
    flag: '',
    headers: ['location', location],
    body: '',
  };
};

/** What the caller dialled, which a port mapping may have changed on the way to the listener. */
const portOf = (request: RequestView): number => {
  const port = /:([0-9]+)$/.exec(request.authority)?.[1];
  if (port !== undefined) return Number(port);
  return request.scheme === 'https' ? 443 : 80;
};

const bracketed = (host: string): string =>
  host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;

export const isPreflight = (request: RequestView): boolean =>
  request.method === 'OPTIONS' &&
  request.header('origin') !== undefined &&
  request.header('access-control-request-method') !== undefined;
