// Where Bearer tokens (RFC 6750) stand, and how to ask for one.
import type { RequestView } from '../../pipeline/exchange.ts';
import { type Failure, failure } from './identity.ts';

/** Exactly `Bearer` and one space. Another scheme is another method's business; a near miss is refused. */
export const bearer = (request: RequestView): string | Failure | undefined => {
  const value = request.header('authorization');
  if (value === undefined) return undefined;
  if (value.startsWith('Bearer ')) {
    const token = value.slice('Bearer '.length);
    return token === '' || token.startsWith(' ') ? failure('the token is malformed') : token;
  }
  return /^\s*bearer/i.test(value) ? failure('the scheme must be written Bearer') : undefined;
};

export const bearerChallenge = (host: string, refusal: Failure | undefined): string =>
  refusal === undefined
    ? `Bearer realm="${host}"`
    : `Bearer realm="${host}", error="invalid_token", error_description="${refusal.reason}"`;
