// How another service is asked whether a request may pass: for Authentication's `forward` and Authorization's `CUSTOM`.
import Type from 'typebox';
import { about, duration, headerName, oneOf } from '../schema.ts';

export const callOut = {
  url: about(
    'Address to ask, by GET. 2xx lets the request pass; 401, 403 and redirects go to the caller as they are.',
    Type.String({ pattern: '^https?://' }),
  ),
  timeout: about('How long the answer may take.', duration({ default: '1s' })),
  requestHeaders: about(
    "The caller's headers that the question has.",
    Type.Array(headerName(), {
      default: [
        'Authorization',
        'Cookie',
        'Accept',
        'Accept-Language',
        'User-Agent',
        'X-Requested-With',
      ],
    }),
  ),
  responseHeaders: about(
    'Headers of the answer to put on the request. Copies that callers send are always dropped.',
    Type.Array(headerName(), { default: [] }),
  ),
  onFailure: about(
    'What to do when nobody answers, or something else: closed refuses with 503, open lets the request pass.',
    oneOf(['closed', 'open'], { default: 'closed' }),
  ),
};
