// The Bibby services of the demo: each an application with a sidecar beside it.
import type { Processes, ProcessSpec } from './processes.ts';

/**
 * A proxy's objects die young: V8's default of 16 MB only lets them lie about (214 instead of 105 MB under load). What has grown old all
 * the same, with services that speak HTTP/2 above all, is collected when it has doubled, not fourfold (140 instead of 180 MB).
 */
const HEAP = ['--max-semi-space-size=4', '--heap-growing-percent=100'] as const;

export interface Volume {
  readonly service: 'catalog' | 'library' | 'circulation';
  readonly version: string;
  readonly errorRate?: number;
}

export interface LibraryDeps {
  readonly processes: Processes;
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly credentials: (agent: string) => string;
}

/** `catalog-v1-1`: its name as a process, an agent and a workload. */
export const nameOf = ({ service, version }: Volume): string =>
  `${service}-${version.replaceAll('.', '-')}`;

/** Starts the application, then the sidecar that announces it. */
export const openVolume = async (deps: LibraryDeps, volume: Volume): Promise<void> => {
  const { service, version, errorRate = 0 } = volume;
  const name = nameOf(volume);
  const [, address = ''] = await deps.processes.start({
    ...nodeProcess(deps, 'bibby', [service]),
    name,
    env: {
      PORT: '0',
      BIBBY_VERSION: version,
      ...(errorRate > 0 ? { BIBBY_ERROR_RATE: String(errorRate) } : {}),
    },
    ready: /listening on http:\/\/(\S+)/,
    pin: ([, at = '']) => ({ PORT: at.split(':')[1] ?? '0' }),
  });
  await deps.processes.start({
    ...nodeProcess(deps, 'sidecar'),
    name: `${name}-sidecar`,
    env: {
      ...deps.env,
      WEIR_AGENT: name,
      WEIR_NAMESPACE: 'bibby',
      WEIR_WORKLOAD: name,
      WEIR_LABELS: `app=${service}-service,version=${version}`,
      WEIR_APP: address,
      WEIR_CREDENTIALS: deps.credentials(name),
    },
    ready: /^admin address/,
  });
};

export const nodeProcess = (
  { root }: Pick<LibraryDeps, 'root'>,
  service: string,
  args: readonly string[] = [],
): Pick<ProcessSpec, 'command' | 'args'> => ({
  command: process.execPath,
  args: [...HEAP, `${root}/services/${service}/main.ts`, ...args],
});
