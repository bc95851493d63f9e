// Certificates of a listener, read and checked before anything listens, and found by server name.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { EngineError } from '#engine/model/errors.ts';
import type { ListenerTls } from '#engine/model/snapshot.ts';

/** AEAD with forward secrecy only. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

export interface Certificates {
  /** For callers that send no server name, or one that nobody here answers to. */
  readonly fallback: tls.SecureContextOptions;
  contextFor(serverName: string): tls.SecureContext;
}

interface Named {
  readonly names: readonly string[];
  readonly context: tls.SecureContext;
}

const textOf = (inline: string | undefined, file: string | undefined): string | undefined =>
  inline ?? (file === undefined ? undefined : readFileSync(file, 'utf8'));

/** Lower-case DNS names inside a certificate. */
const namesIn = (pem: string): readonly string[] => {
  const { subjectAltName } = new X509Certificate(pem);
  return [...(subjectAltName ?? '').matchAll(/(?:^|, )DNS:([A-Za-z0-9*._-]+)(?=,|$)/g)].map(
    (match) => (match[1] ?? '').toLowerCase(),
  );
};

const readOne = (
  each: ListenerTls['certificates'][number],
  plan: ListenerTls,
): { readonly options: tls.SecureContextOptions; readonly named: Named } => {
  const cert = textOf(each.certificate, each.certificateFile);
  const key = textOf(each.key, each.keyFile);
  if (cert === undefined || key === undefined)
    throw new Error('a certificate needs both its chain and its key');
  const ca = textOf(plan.clientCertificate?.ca, plan.clientCertificate?.caFile);
  const options: tls.SecureContextOptions = {
    cert,
    key,
    ciphers: CIPHERS,
    honorCipherOrder: true,
    minVersion: plan.minVersion === '1.3' ? 'TLSv1.3' : 'TLSv1.2',
    ...(ca !== undefined && { ca }),
  };
  const names = each.serverNames?.map((name) => name.toLowerCase()) ?? namesIn(cert);
  return { options, named: { names, context: tls.createSecureContext(options) } };
};

/** `*.bibby.com` answers `api.bibby.com`, not `bibby.com` and not `a.api.bibby.com`. */
const wildcardOf = (serverName: string): string => {
  const dot = serverName.indexOf('.');
  return dot < 0 ? '' : `*${serverName.slice(dot)}`;
};

/** Throws ERR_CONFIG_INVALID; `listener` says where. */
export const readCertificates = (plan: ListenerTls, listener: string): Certificates => {
  const byName = new Map<string, tls.SecureContext>();
  let first: ReturnType<typeof readOne> | undefined;
  for (const [index, each] of plan.certificates.entries()) {
    try {
      const one = readOne(each, plan);
      first ??= one;
      for (const name of one.named.names)
        if (!byName.has(name)) byName.set(name, one.named.context);
    } catch (error) {
      throw new EngineError(
        'ERR_CONFIG_INVALID',
        `listener ${listener}: certificate ${index + 1} cannot be used: ${(error as Error).message}`,
        { cause: error },
      );
    }
  }
  if (!first) throw new EngineError('ERR_CONFIG_INVALID', `listener ${listener}: no certificate`);
  const { options, named } = first;
  return {
    fallback: options,
    contextFor: (serverName) => {
      const name = serverName.toLowerCase().replace(/\.$/, '');
      return byName.get(name) ?? byName.get(wildcardOf(name)) ?? named.context;
    },
  };
};

/** Files that the certificates came from. */
export const filesOf = (plan: ListenerTls): readonly string[] =>
  [
    ...plan.certificates.flatMap((each) => [each.certificateFile, each.keyFile]),
    plan.clientCertificate?.caFile,
  ].filter((file) => file !== undefined);
