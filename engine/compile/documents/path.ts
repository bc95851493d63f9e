// A place inside a document, as keys and indexes from its root.
export type Path = readonly (string | number)[];

/** `spec.rules[0].headers["x y"]`, as diagnostics show it. */
export const formatPath = (path: Path): string => {
  let text = '';
  for (const step of path)
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  return text;
};

/** The value there, or undefined; only own members are seen. */
export const valueAt = (root: unknown, path: Path): unknown => {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
};
