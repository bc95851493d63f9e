// Header edits of a route, on the request and on the response.
import type { HeaderEdits } from '../../model/snapshot.ts';
import type { Filter, FilterKind } from '../filter.ts';
import { headerIn, putHeader } from '../header-names.ts';
import { combinedHeader } from '../request-parts.ts';

export const headers: FilterKind = {
  name: 'headers',
  create({ requestHeaders, responseHeaders }) {
    if (!requestHeaders && !responseHeaders) return undefined;
    const onRequest = lowerCased(requestHeaders);
    const onResponse = lowerCased(responseHeaders);
    const filter: Filter = {
      request({ request, setHeaders, removeHeaders }) {
        for (const name of onRequest.remove) removeHeaders.push(name);
        for (const [name, value] of onRequest.set) putHeader(setHeaders, name, value);
        for (const [name, value] of onRequest.add)
          putHeader(
            setHeaders,
            name,
            append(headerIn(setHeaders, name) ?? combinedHeader(request, name), value),
          );
        return undefined;
      },
      response({ responseHeaders: set, removeResponseHeaders }, response) {
        for (const name of onResponse.remove) removeResponseHeaders.push(name);
        for (const [name, value] of onResponse.set) putHeader(set, name, value);
        for (const [name, value] of onResponse.add)
          if (name === 'set-cookie') set.push(name, value);
          else putHeader(set, name, append(headerIn(set, name) ?? response.header(name), value));
      },
    };
    return filter;
  },
};

const lowerCased = (edits: HeaderEdits | undefined): HeaderEdits => ({
  set: (edits?.set ?? []).map(([name, value]) => [name.toLowerCase(), value] as const),
  add: (edits?.add ?? []).map(([name, value]) => [name.toLowerCase(), value] as const),
  remove: (edits?.remove ?? []).map((name) => name.toLowerCase()),
});

const append = (before: string | undefined, value: string): string =>
  before === undefined ? value : `${before}, ${value}`;
