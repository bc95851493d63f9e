// The few schema building blocks that every resource kind uses.
import Type, { type TObjectOptions, type TSchema, type TSchemaOptions } from 'typebox';
import type { Feature } from './features.ts';

/** Unknown keys are refused everywhere: a typing error must never be a silently ignored policy. */
export const strict = <P extends Record<string, TSchema>>(
  properties: P,
  options: TObjectOptions = {},
) => Type.Object(properties, { additionalProperties: false, ...options });

/** Marks a part that a data plane must be able to enforce; compile refuses it where the scope cannot. */
export const needs = <S extends TSchema>(feature: Feature, schema: S): S =>
  // TypeBox keeps the kind of a schema in a hidden property, which a spread would lose and with it the defaults inside.
  Object.assign(Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema)) as S, {
    needs: feature,
  });

/** `300ms`, `15s`, `1m30s`, `24h`; parsed by `parseDuration`. */
export const duration = (options: TSchemaOptions = {}) =>
  Type.String({
    pattern: '^([0-9]+(ms|s|m|h|d))+$',
    description: 'Duration such as 300ms, 15s, 1m30s, 24h.',
    ...options,
  });

/** DNS-1123 subdomain: lower-case letters, digits, `-` and `.`. */
export const name = (options: TSchemaOptions = {}) =>
  Type.String({ pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$', maxLength: 253, ...options });

/** Exact host, or a wildcard in its first label. */
export const host = (options: TSchemaOptions = {}) =>
  Type.String({
    pattern: '^(\\*|(\\*\\.)?[a-z0-9_]([-a-z0-9_.]{0,250}[a-z0-9_])?)$',
    maxLength: 253,
    ...options,
  });

export const port = (options: TSchemaOptions = {}) =>
  Type.Integer({ minimum: 1, maximum: 65535, ...options });

export const labels = (options: TSchemaOptions = {}) =>
  Type.Record(Type.String({ maxLength: 317 }), Type.String({ maxLength: 253 }), options);

/** RFC 9110 token, as it may stand for a header name. */
export const headerName = (options: TSchemaOptions = {}) =>
  Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", maxLength: 256, ...options });

/** A header value: visible characters, spaces and tabs; no CR, LF or NUL. */
export const headerValue = (options: TSchemaOptions = {}) =>
  Type.String({ pattern: '^[\\t\\u0020-\\u007e\\u0080-\\u00ff]*$', maxLength: 8192, ...options });

export const oneOf = <const V extends readonly string[]>(values: V, options: TSchemaOptions = {}) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], ...options });

/** Where a policy applies (Gateway API policy attachment). */
export const targetRef = strict({
  kind: oneOf(['Gateway', 'Route', 'Service', 'Mesh']),
  name: name(),
  namespace: Type.Optional(name()),
  /** A rule of the Route or a listener of the Gateway; absent means all of it. */
  sectionName: Type.Optional(name()),
});

/** `enforce` decides, `audit` logs what it would have decided, `off` does nothing. */
export const mode = oneOf(['enforce', 'audit', 'off'], { default: 'enforce' });
