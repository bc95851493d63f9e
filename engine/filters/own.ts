/** A record's own member: keys come from people, and `__proto__` or `constructor` is nobody's policy. */
export const own = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;
