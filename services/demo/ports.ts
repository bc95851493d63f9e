import { createServer } from 'node:net';

/** Undefined if the port can be had, else why not. Without a host: on every interface, as the edge listens. */
export const whyTaken = (port: number, host?: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(code === 'EADDRINUSE' ? 'is taken' : `cannot be used (${code})`),
    );
    server.listen({ port, ...(host ? { host } : {}) }, () =>
      server.close(() => resolve(undefined)),
    );
  });
