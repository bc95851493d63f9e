// Release numbers, and the least ones that Weir trusts.

export const compareReleases = (a: string, b: string): number => {
  const [left, right] = [numbersOf(a), numbersOf(b)];
  for (let place = 0; place < 3; place++) {
    const difference = (left[place] ?? 0) - (right[place] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
};

const numbersOf = (release: string): number[] =>
  release.replace(/^v/, '').split(/[.-]/, 3).map(Number);

/** Older releases of these lines lack security fixes of June and July 2026. */
export const isSafeNode = (release: string): boolean => {
  const major = numbersOf(release)[0] ?? 0;
  if (major === 24) return compareReleases(release, '24.18.1') >= 0;
  return major >= 26 && compareReleases(release, '26.10.0') >= 0;
};

export const LEAST_NATS = '2.9.0';
/** Below this one a server is good for one node only (docs/adr). */
export const CURRENT_NATS = '2.11.0';
