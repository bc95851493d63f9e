// Calls to other services from an agent. Few policies need them, so the library is loaded with the first call: an agent
// that never asks anybody starts faster and stays smaller.
import type { Web } from '#engine/ports/web.ts';

export const createLateWeb = (
  load: () => Promise<Web> = async () => (await import('#adapters/web-http/web.ts')).createWeb(),
): Web => {
  let loading: Promise<Web> | undefined;
  let isClosed = false;
  return {
    async ask(request) {
      if (isClosed) throw new Error('nobody is asked any more: the process stops');
      loading ??= load();
      return (await loading).ask(request);
    },
    async close() {
      isClosed = true;
      await (await loading)?.close();
    },
  };
};
