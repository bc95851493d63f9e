// Edges of the revocation bench, in a process of their own: <nats url> <trusted keys> <credentials folder> <name>...
// A line of input is a token that is about to be revoked; "armed" once every edge has let it in. As soon as an edge has
// applied a decision it is asked with that token again, and "<edge> <milliseconds since 1970>" is written when it says 401.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { systemTime } from '#services/agent/time.ts';
import { type Edge, startEdge } from '#services/edge/edge.ts';
import { createMemoryLastGood } from '#test/support/agent-fakes.ts';

const [url = '', trustedKeys = '', credentials = '', ...names] = process.argv.slice(2);
const verifier = createVerifier(JSON.parse(readFileSync(trustedKeys, 'utf8')) as never);
const connections = new Agent({ keepAlive: true });
const edges = new Map<string, Edge>();
let token = '';

const statusAt = (edge: Edge): Promise<number> =>
  new Promise((resolve, reject) => {
    const port = edge.addresses()[0]?.port;
    if (port === undefined) return resolve(0);
    const headers = { authorization: `Bearer ${token}` };
    const sent = request({ host: '127.0.0.1', port, headers, agent: connections }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
    });
    sent.once('error', reject);
    sent.end();
  });

const until = async (edge: Edge, status: number): Promise<void> => {
  while ((await statusAt(edge)) !== status)
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
};

const applied = async (name: string): Promise<void> => {
  const edge = edges.get(name);
  if (!edge || token === '') return;
  await until(edge, 401);
  console.log(`${name} ${performance.timeOrigin + performance.now()}`);
};

for (const name of names) {
  const broker = await connectNats({
    url,
    name,
    credentials: readFileSync(join(credentials, `${name}.nk`), 'utf8'),
  });
  edges.set(
    name,
    await startEdge(
      {
        agent: name,
        mesh: 'default',
        gateway: 'public',
        admin: { host: '127.0.0.1', port: 0 },
        listenPorts: new Map([[8080, 0]]),
        drainDelayMs: 0,
      },
      {
        connect: async () => broker,
        verifier,
        store: createMemoryLastGood(),
        time: systemTime,
        log: (line) => {
          if (/^decision .* applied/.test(line)) void applied(name);
        },
        incarnation: name,
        write: () => {},
      },
    ),
  );
}
console.log('ready');
createInterface(process.stdin)
  .on('line', (line) => {
    token = line;
    void Promise.all([...edges.values()].map((edge) => until(edge, 200))).then(() =>
      console.log('armed'),
    );
  })
  .on('close', () => process.exit(0));
