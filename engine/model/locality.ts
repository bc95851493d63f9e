// Where something runs: `region/zone`, or the region alone.
export const localityPattern = '^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$';

export const isLocality = (text: string): boolean => new RegExp(localityPattern).test(text);
