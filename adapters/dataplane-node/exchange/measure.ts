// Reads the numbers that rollouts are judged by from the answer that the caller gets.
import type { Upstream } from '#engine/model/snapshot.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { ResponseHead } from '../http1/response-head.ts';
import type { PlaneContext } from './context.ts';
import type { GrpcCall } from './grpc.ts';

interface Measured {
  readonly context: PlaneContext;
  readonly grpc: GrpcCall | undefined;
}

export const measureHead = (
  { context, grpc }: Measured,
  upstream: Upstream,
  { fields }: ResponseHead,
): void => {
  if (upstream.measures === undefined) return;
  const { values } = context.samples;
  values.read(upstream, fields, 'header');
  // An answer of gRPC without messages has its trailers in the head.
  if (grpc?.isOpen === false) values.read(upstream, fields, 'trailer');
};

export const measureTrailers = (
  { context }: Measured,
  upstream: Upstream | undefined,
  trailers: FieldSection | undefined,
): void => {
  if (upstream?.measures !== undefined && trailers)
    context.samples.values.read(upstream, trailers, 'trailer');
};
