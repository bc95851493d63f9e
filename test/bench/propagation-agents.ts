// Agents of the propagation bench, in a process of their own: <nats url> <trusted keys> <credentials folder> <name>...
// Says "ready" once all of them follow control; ends when its input does.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectNats } from '#adapters/bus-nats/broker.ts';
import { createVerifier } from '#adapters/signer-ed25519/signer.ts';
import { FakeAgent } from '#test/services/control/fake-agent.ts';

const [url = '', trustedKeys = '', credentials = '', ...names] = process.argv.slice(2);
const verifier = createVerifier(JSON.parse(readFileSync(trustedKeys, 'utf8')) as never);

for (const agent of names) {
  const broker = await connectNats({
    url,
    name: agent,
    credentials: readFileSync(join(credentials, `${agent}.nk`), 'utf8'),
  });
  const started = await new FakeAgent({
    broker,
    verifier,
    agent,
    scope: 'edge.public',
    now: Date.now,
  }).start();
  setInterval(() => started.beat(), 1000);
}
console.log('ready');
process.stdin.on('end', () => process.exit(0)).resume();
