// A token issuer for development: `weir token` signs with its key, and policies refer to its public half as a JWKS file.
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import { type Home, readIfThere, writeWhole } from './home.ts';

const ALG = 'EdDSA';

/** A damaged one is made anew: tokens for development are signed in a moment. */
const isJson = async (file: string): Promise<boolean> => {
  try {
    return typeof JSON.parse((await readIfThere(file)) ?? '') === 'object';
  } catch {
    return false;
  }
};

export const ensureDevIssuer = async (home: Home): Promise<void> => {
  if ((await isJson(home.devIssuerKey)) && (await isJson(home.devIssuerKeys))) return;
  const pair = await generateKeyPair(ALG, { extractable: true });
  const publicJwk = await exportJWK(pair.publicKey);
  const marks = { kid: await calculateJwkThumbprint(publicJwk), alg: ALG, use: 'sig' };
  const privateJwk = { ...(await exportJWK(pair.privateKey)), ...marks };
  const jwks = { keys: [{ ...publicJwk, ...marks }] };
  await writeWhole(home.devIssuerKey, `${JSON.stringify(privateJwk, null, 2)}\n`, { secret: true });
  await writeWhole(home.devIssuerKeys, `${JSON.stringify(jwks, null, 2)}\n`);
};
