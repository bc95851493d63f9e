// The name of a request across all logs: the caller's, if it is harmless, else a new one.
import { randomUUID } from 'node:crypto';
import type { DownstreamRequest } from './request-view.ts';

const HARMLESS = /^[A-Za-z0-9._:=@/+-]{1,128}$/;

export const requestIdOf = (request: DownstreamRequest | undefined): string => {
  const given = request?.header('x-request-id');
  return given !== undefined && HARMLESS.test(given) ? given : randomUUID();
};
