// Faults on purpose: delays and aborts for a share of the requests.
import type { FilterKind } from '../filter.ts';

export const fault: FilterKind = {
  name: 'fault',
  create({ fault: plan }, { deps: { random } }) {
    if (!plan) return undefined;
    const { delayMs, delayPercent, abortStatus, abortPercent } = plan;
    return {
      request(exchange) {
        if (delayMs > 0 && random() * 100 < delayPercent) exchange.delayMs = delayMs;
        if (abortPercent === 0 || random() * 100 >= abortPercent) return undefined;
        return {
          type: 'respond',
          status: abortStatus,
          error: 'Fault Injected',
          reason: 'this route aborts a share of its requests on purpose',
          flag: 'FI',
          headers: [],
        };
      },
    };
  },
};
