// Header names in one spelling. Servers behind us may take `X_User.ID` for `X-User-ID`, so to us they are the same name.

/** Lower case, and `-` for everything that is neither letter nor digit. */
export const canonicalHeader = (name: string): string =>
  name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-');

/** Identity that backends trust although no Authentication may be set up for it. */
export const identityHeaders = ['x-user-id', 'x-user-roles', 'x-forwarded-client-cert'] as const;

/** Replaces the value if the name is in the list already. List: name, value, name, value, ... */
export const putHeader = (list: string[], name: string, value: string): void => {
  for (let i = 0; i < list.length; i += 2)
    if (list[i] === name) {
      list[i + 1] = value;
      return;
    }
  list.push(name, value);
};

export const headerIn = (list: readonly string[], name: string): string | undefined => {
  for (let i = 0; i < list.length; i += 2) if (list[i] === name) return list[i + 1];
  return undefined;
};
