// The control process: reads what it is told, connects, runs until it is asked to stop.
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createUserNames, readBusUsers } from '#adapters/bus-nats/users.ts';
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { createPolicyFiles } from '#adapters/files-local/policy-files.ts';
import { createKeys } from '#adapters/keys-http/keys.ts';
import { createSigner, createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { createWeb } from '#adapters/web-http/web.ts';
import { EngineError, reasonOf } from '#engine/model/errors.ts';
import { createAccess, readTokens } from './access.ts';
import {
  type ControlSettings,
  followFile,
  parseSettings,
  readJsonFile,
  readTextFile,
} from './config.ts';
import { startControl } from './control.ts';
import { systemTime } from './time.ts';

const VERSION = '0.1.0';
const log = (line: string): void => console.log(line);

/** So that the command line finds us. */
const announce = async ({ home }: ControlSettings, url: string): Promise<void> => {
  await mkdir(home, { recursive: true });
  const draft = join(home, `control.json.${process.pid}`);
  await writeFile(draft, `${JSON.stringify({ url })}\n`);
  await rename(draft, join(home, 'control.json'));
};

const run = async (stop: AbortSignal): Promise<void> => {
  const settings = parseSettings(process.env);
  const { mesh, instance, host, port } = settings;
  const signer = readJsonFile(
    settings.signingKeyFile,
    'Signing key (WEIR_SIGNING_KEY)',
    createSigner,
  );
  const verifier = readJsonFile(
    settings.trustedKeysFile,
    'Trusted keys (WEIR_TRUSTED_KEYS)',
    createVerifier,
  );
  const hasUsers = existsSync(settings.usersFile);
  const access = createAccess({
    tokens: followFile(settings.tokensFile, readTokens),
    users: hasUsers ? followFile(settings.usersFile, (file) => readBusUsers(file).users) : () => [],
  });
  const broker = await connectNats({
    url: settings.natsUrl,
    name: `control ${instance}`,
    ...(existsSync(settings.credentialsFile)
      ? {
          credentials: readTextFile(settings.credentialsFile, 'Bus credentials (WEIR_CREDENTIALS)'),
        }
      : {}),
    ...(hasUsers ? { userName: createUserNames(settings.usersFile) } : {}),
    log,
    signal: stop,
  });
  for (const warning of broker.warnings) log(`warning: ${warning}`);
  const web = createWeb();
  const keys = createKeys({ web, clock: systemTime });
  const files = createPolicyFiles(settings);
  const control = await startControl(
    { mesh, instance, admin: { host, port }, version: VERSION },
    {
      broker,
      signer,
      verifier,
      access,
      time: systemTime,
      files,
      keys,
      web,
      assumed: capabilities,
      log,
    },
  );
  await announce(settings, control.url);
  log(`admin API on ${control.url}`);
  if (!stop.aborted)
    await new Promise((resolve) => {
      stop.addEventListener('abort', resolve, { once: true });
    });
  await control.close();
  keys.close();
  await web.close();
  await broker.close();
  log('stopped');
};

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort());

try {
  await run(stop.signal);
  process.exit(0);
} catch (error) {
  if (stop.signal.aborted) process.exit(0);
  console.error(`control: ${reasonOf(error)}`);
  process.exit(error instanceof EngineError && error.code === 'ERR_CONFIG_INVALID' ? 2 : 1);
}
