// Plugin: a user's filter module and where it applies.
import Type from 'typebox';
import { duration, needs, oneOf, strict, targetRef } from '../schema.ts';

export const pluginSpec = needs(
  'plugin',
  strict({
    targetRefs: Type.Array(targetRef, { minItems: 1 }),
    module: Type.String({
      minLength: 1,
      description: 'File or package that exports a filter kind.',
    }),
    settings: Type.Record(Type.String(), Type.Unknown(), { default: {} }),
    timeBudget: duration({ default: '5ms' }),
    onError: oneOf(['skip', 'deny'], { default: 'deny' }),
  }),
);
