// The few schema building blocks that every resource kind uses.
import Type, { type TObjectOptions, type TSchema, type TSchemaOptions } from 'typebox';
import type { Feature } from './features.ts';

/** Unknown keys are refused everywhere: a typing error must never be a silently ignored policy. */
export const strict = <P extends Record<string, TSchema>>(
  properties: P,
  options: TObjectOptions = {},
) => Type.Object(properties, { additionalProperties: false, ...options });

// TypeBox keeps the kind of a schema in a hidden property, which a spread would lose and with it the defaults inside.
const withMember = <S extends TSchema>(schema: S, member: object): S =>
  Object.assign(Object.defineProperties({}, Object.getOwnPropertyDescriptors(schema)) as S, member);

/** What a field means, in a sentence for people: in the reference, in editors and in hints. */
export const about = <S extends TSchema>(description: string, schema: S): S =>
  withMember(schema, { description });

/** Marks a part that a data plane must be able to enforce; compile refuses it where the scope cannot. */
export const needs = <S extends TSchema>(feature: Feature, schema: S): S =>
  withMember(schema, { needs: feature });

/** `300ms`, `15s`, `1m30s`, `24h`; parsed by `parseDuration`. */
export const duration = (options: TSchemaOptions = {}) =>
  Type.String({
    title: 'duration',
    pattern: '^([0-9]+(ms|s|m|h|d))+$',
    ...options,
  });

/** DNS-1123 subdomain: lower-case letters, digits, `-` and `.`. */
export const name = (options: TSchemaOptions = {}) =>
  Type.String({
    title: 'name',
    pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
    maxLength: 253,
    ...options,
  });

/** Exact host, or a wildcard in its first label. */
export const host = (options: TSchemaOptions = {}) =>
  Type.String({
    title: 'host',
    pattern: '^(\\*|(\\*\\.)?[a-z0-9_]([-a-z0-9_.]{0,250}[a-z0-9_])?)$',
    maxLength: 253,
    ...options,
  });

export const port = (options: TSchemaOptions = {}) =>
  Type.Integer({ title: 'port', minimum: 1, maximum: 65535, ...options });

export const labels = (options: TSchemaOptions = {}) =>
  Type.Record(Type.String({ maxLength: 317 }), Type.String({ maxLength: 253 }), {
    title: 'labels',
    ...options,
  });

/** RFC 9110 token, as it may stand for a header name. */
export const headerName = (options: TSchemaOptions = {}) =>
  Type.String({
    title: 'header name',
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
    maxLength: 256,
    ...options,
  });

/** A header value: visible characters, spaces and tabs; no CR, LF or NUL. */
export const headerValue = (options: TSchemaOptions = {}) =>
  Type.String({
    title: 'header value',
    pattern: '^[\\t\\u0020-\\u007e\\u0080-\\u00ff]*$',
    maxLength: 8192,
    ...options,
  });

export const oneOf = <const V extends readonly string[]>(values: V, options: TSchemaOptions = {}) =>
  Type.Unsafe<V[number]>({ type: 'string', enum: [...values], ...options });

/** Where a policy applies (Gateway API policy attachment). */
export const targetRef = strict({
  kind: about(
    'What it applies to. A Service means the sidecars of its workloads, the Mesh everything.',
    oneOf(['Gateway', 'Route', 'Service', 'Mesh']),
  ),
  name: about('Name of the target; any name for the Mesh.', name()),
  namespace: about("Namespace of the target. Default: the policy's.", Type.Optional(name())),
  sectionName: about(
    'One rule of the Route or one listener of the Gateway. Absent: all of it.',
    Type.Optional(name()),
  ),
});

/** `enforce` decides, `audit` logs what it would have decided, `off` does nothing. */
export const mode = oneOf(['enforce', 'audit', 'off'], { default: 'enforce' });
