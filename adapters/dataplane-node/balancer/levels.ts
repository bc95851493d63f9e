// How much of the traffic each level of endpoints gets, the nearest first, with Envoy's meaning of priority levels: a level
// keeps all of it until more than two in seven of its endpoints are out; what it lacks then goes on to the next.

export interface LevelHealth {
  readonly healthy: number;
  readonly total: number;
}

export interface LevelShare {
  /** Percent of the requests; all add up to 100, or to 0 if nobody is healthy and none panics. */
  readonly load: number;
  /** So few are healthy that all of them are used. */
  readonly isPanic: boolean;
}

/** Percent; Envoy's overprovisioning factor of 1.4. */
const OVERPROVISIONING = 140;

export const shareLevels = (
  levels: readonly LevelHealth[],
  panicThreshold: number,
): readonly LevelShare[] => {
  const isBelow = ({ healthy, total }: LevelHealth): boolean =>
    healthy < total && healthy * 100 < total * panicThreshold;
  if (levels.length === 1) return levels.map((level) => ({ load: 100, isPanic: isBelow(level) }));
  const health = levels.map(({ healthy, total }) =>
    total === 0 ? 0 : Math.min(100, (OVERPROVISIONING * healthy) / total),
  );
  const enough = Math.min(100, sumOf(health));
  // With enough healthy ones somewhere, nobody has to be asked who is not.
  const panics = levels.map((level) => enough < 100 && isBelow(level));
  if (panics.every((panic, at) => panic || levels[at]?.total === 0)) {
    const all = sumOf(levels.map(({ total }) => total));
    return levels.map(({ total }) => ({
      load: all === 0 ? 0 : (100 * total) / all,
      isPanic: true,
    }));
  }
  let left = 100;
  return levels.map((_, at) => {
    const load = enough === 0 ? 0 : Math.min(left, (100 * (health[at] as number)) / enough);
    left -= load;
    return { load, isPanic: panics[at] as boolean };
  });
};

/** 0: the same zone, 1: the same region, 2: elsewhere or not known. `region/zone` */
export const distance = (own: string, other: string | undefined): number => {
  if (other === undefined) return 2;
  if (own === other) return 0;
  const [ownRegion, ownZone] = own.split('/');
  const [region, zone] = other.split('/');
  if (ownRegion !== region) return 2;
  return ownZone !== undefined && ownZone === zone ? 0 : 1;
};

const sumOf = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0);
