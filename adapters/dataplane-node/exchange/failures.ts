// What the caller is told when a try comes to nothing, with Envoy's response flags.
import type { UpstreamFailure } from '../upstream/client.ts';

export type TryFailure = UpstreamFailure | 'no-endpoint' | 'timeout';

export const FAILURES: Readonly<
  Record<TryFailure, readonly [status: number, reason: string, flag: string]>
> = {
  connect: [503, 'no connection to the upstream', 'UF'],
  'connect-timeout': [503, 'connecting to the upstream took too long', 'UF'],
  reset: [503, 'the upstream closed the connection', 'UC'],
  refused: [503, 'the upstream refused the request', 'UR'],
  partial: [502, 'the upstream closed the connection inside its answer', 'UC'],
  protocol: [502, 'the upstream does not speak proper HTTP', 'UPE'],
  overflow: [503, 'too many requests for the upstream', 'UO'],
  'no-endpoint': [503, 'the upstream has no healthy endpoint', 'UH'],
  timeout: [504, 'the upstream took too long', 'UT'],
};
