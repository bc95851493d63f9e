import release from '../../package.json' with { type: 'json' };

/** Of Weir, as heartbeats and metrics say it. */
export const version: string = release.version;
