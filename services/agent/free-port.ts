// Whether an address can be listened on, before anything depends on it.
import { createServer } from 'node:net';
import { EngineError } from '#engine/model/errors.ts';
import type { Address } from './config.ts';

/** Throws ERR_PORT_TAKEN or ERR_CONFIG_INVALID. Port 0 is always free. */
export const mustBeFree = async ({ host, port }: Address, setting: string): Promise<void> => {
  const server = createServer();
  const code = await new Promise<string | undefined>((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown error'));
    server.listen(port, host, () => resolve(undefined));
  });
  if (code === undefined) await new Promise((resolve) => server.close(resolve));
  else if (code === 'EADDRINUSE')
    throw new EngineError('ERR_PORT_TAKEN', `${host}:${port} (${setting}) is in use already`);
  else
    throw new EngineError(
      'ERR_CONFIG_INVALID',
      `cannot listen on ${host}:${port} (${setting}): ${code}`,
    );
};
