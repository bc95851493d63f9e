import { join } from 'node:path';

/** As every process of Weir runs: the TypeScript is stripped once. And Debian keeps servers in /usr/sbin. */
export const proxyEnvironment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: `${process.env['PATH']}:/usr/sbin`,
  NODE_COMPILE_CACHE: join(import.meta.dirname, '../../node_modules/.cache/weir'),
};
