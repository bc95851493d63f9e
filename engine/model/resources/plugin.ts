// Plugin: a user's filter module and where it applies.
import Type from 'typebox';
import { about, duration, needs, oneOf, strict, targetRef } from '../schema.ts';

export const pluginSpec = needs(
  'plugin',
  strict({
    targetRefs: about('Where it applies.', Type.Array(targetRef, { minItems: 1 })),
    module: about(
      'File or package that exports a filter kind.',
      Type.String({
        minLength: 1,
      }),
    ),
    settings: about(
      'What the filter is told.',
      Type.Record(Type.String(), Type.Unknown(), { default: {} }),
    ),
    timeBudget: about('How long it may think about one request.', duration({ default: '5ms' })),
    onError: about(
      'What happens to a request when the filter fails.',
      oneOf(['skip', 'deny'], { default: 'deny' }),
    ),
  }),
);
