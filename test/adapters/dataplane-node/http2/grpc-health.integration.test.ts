// Endpoints that say by gRPC how they are, when asked and when not.
import grpc from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import type { OutlierPlan } from '#engine/model/snapshot.ts';
import { closeAll, closing, startPlane, upstream, viewOf } from '../support.ts';
import { interopClient, interopServer, testService, unary } from './interop.ts';

afterEach(closeAll);

const { status } = grpc;
const UNKNOWN = 0;
const SERVING = 1;
const NOT_SERVING = 2;

/** The messages of grpc.health.v1: a service's name in field 1 goes in, a status in field 1 comes out. */
const health = {
  Check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (value: number) => Buffer.from(value === UNKNOWN ? [] : [8, value]),
    responseDeserialize: (bytes: Buffer) => bytes[1] ?? UNKNOWN,
  },
} as const;

interface HealthServer {
  readonly port: number;
  /** Or a code of gRPC, as an error. */
  says: number | { readonly code: number };
  /** Names that were asked about. */
  readonly asked: string[];
  calls: number;
}

const healthServer = async (says: HealthServer['says']): Promise<HealthServer> => {
  const state: HealthServer = { port: 0, says, asked: [], calls: 0 };
  const server = new grpc.Server();
  server.addService(health, {
    Check: (call: grpc.ServerUnaryCall<Buffer, number>, done: grpc.sendUnaryData<number>) => {
      state.asked.push(call.request.toString());
      if (typeof state.says === 'number') done(null, state.says);
      else done({ code: state.says.code, details: 'no' });
    },
  } as grpc.UntypedServiceImplementation);
  server.addService({ EmptyCall: testService.EmptyCall }, {
    EmptyCall: (_call: unknown, done: grpc.sendUnaryData<object>) => {
      state.calls++;
      done(null, {});
    },
  } as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  closing(() => server.forceShutdown());
  return Object.assign(state, { port });
};

const healthCheck = {
  type: 'GRPC',
  path: '/',
  intervalMs: 40,
  timeoutMs: 2000,
  unhealthyThreshold: 1,
  healthyThreshold: 1,
  expectedStatuses: [],
} as const;

const callsOf = (servers: readonly { calls: number }[]): number[] =>
  servers.map(({ calls }) => calls);

it('an endpoint that is not serving, or cannot say, is taken out until it serves', async () => {
  const [well, sick] = [await healthServer(SERVING), await healthServer(SERVING)];
  const ports = [well.port, sick.port];
  const { port } = await startPlane(viewOf([upstream(ports, { protocol: 'grpc', healthCheck })]));
  const client = interopClient(port);
  /** Asks until a round of four calls went where it should. */
  const untilCalls = (wanted: readonly number[]): Promise<void> =>
    expect
      .poll(
        async () => {
          well.calls = sick.calls = 0;
          for (let i = 0; i < 4; i++)
            expect((await unary(client.EmptyCall.bind(client))).code).toBe(status.OK);
          return callsOf([well, sick]);
        },
        { timeout: 20_000 },
      )
      .toEqual(wanted);
  await untilCalls([2, 2]);
  for (const says of [
    NOT_SERVING,
    UNKNOWN,
    { code: status.UNIMPLEMENTED },
    { code: status.NOT_FOUND },
  ]) {
    sick.says = says;
    await untilCalls([4, 0]);
    sick.says = SERVING;
    await untilCalls([2, 2]);
  }
  // About the server as a whole.
  expect(new Set(sick.asked)).toEqual(new Set(['']));
});

it('an endpoint whose calls fail by their status is ejected, one whose callers are wrong is not', async () => {
  const servers = [await interopServer(), await interopServer()];
  const outlierDetection: OutlierPlan = {
    consecutive5xxErrors: 3,
    consecutiveGatewayErrors: 0,
    intervalMs: 60_000,
    baseEjectionTimeMs: 60_000,
    maxEjectionTimeMs: 60_000,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
    shared: false,
  };
  const ports = servers.map(({ port }) => port);
  const { port } = await startPlane(
    viewOf([upstream(ports, { protocol: 'grpc', outlierDetection })]),
  );
  const client = interopClient(port);
  const ask = (code: number) =>
    unary(client.UnaryCall.bind(client), { status: { code, message: 'no' } });
  for (let i = 0; i < 12; i++)
    expect((await ask(status.INVALID_ARGUMENT)).code).toBe(status.INVALID_ARGUMENT);
  expect(callsOf(servers)).toEqual([6, 6]);
  // In turns, so the third failure of each is the fifth or sixth: whoever gets there first goes.
  for (let i = 0; i < 6; i++) expect((await ask(status.INTERNAL)).code).toBe(status.INTERNAL);
  for (const server of servers) server.calls = 0;
  for (let i = 0; i < 6; i++) await ask(status.OK);
  expect(callsOf(servers).toSorted((a, b) => a - b)).toEqual([0, 6]);
});
