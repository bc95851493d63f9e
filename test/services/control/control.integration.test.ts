// The main path with real processes: nats-server with accounts, control on its own, agents over their own connections.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ApplyAnswer, ErrorAnswer, FleetAnswer } from '#engine/model/api.ts';
import { bibby, route } from './documents.ts';
import type { FakeAgent } from './fake-agent.ts';
import { type ControlProcess, eventually, TestInstallation } from './installation.ts';
import { catalog } from './world.ts';

let place: TestInstallation;
let control: ControlProcess;
let edge: FakeAgent;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = <T>(data: Uint8Array): T => JSON.parse(new TextDecoder().decode(data)) as T;

beforeAll(async () => {
  place = await TestInstallation.create([
    { name: 'edge-1', scope: 'edge.public' },
    { name: 'catalog-1', scope: 'sidecar.bibby.catalog', workload: 'bibby/catalog' },
  ]);
  control = await place.control();
  edge = await place.agent('edge-1', 'edge.public');
});
afterAll(() => place.close());

describe('control over a real bus', () => {
  it('applies plain YAML that a user sends over the bus', async () => {
    const operator = await place.connect('operator');
    await eventually('control answers', async () => {
      try {
        await operator.bus.request('weir.default.api.fleet.status', encode(''), 2000);
        return true;
      } catch {
        return false;
      }
    });
    const answer = decode<ApplyAnswer>(
      await operator.bus.request('weir.default.api.policy.apply', encode(bibby), 5000),
    );
    expect(answer).toMatchObject({ revision: 1, diagnostics: expect.any(Array) });
    await eventually('the edge has it', () => edge.state.active?.revision === 1);
    const { commits } = decode<{ commits: { author: string }[] }>(
      await operator.bus.request('weir.default.api.policy.history', encode('{}'), 5000),
    );
    expect(commits[0]?.author).toBe('operator');
  });

  it('refuses what a viewer may not do', async () => {
    const answer = await place.post<ErrorAnswer>(
      control.url,
      '/v1/policy',
      { documents: [{ file: 'x.yaml', text: bibby }] },
      'viewer',
    );
    expect(answer.error.code).toBe('ERR_REQUEST_FORBIDDEN');
  });

  it('waits until every agent has it, and says how long that took', async () => {
    const answer = await place.post<ApplyAnswer>(control.url, '/v1/policy', {
      documents: [{ file: 'route.yaml', text: route('/books') }],
      wait: { percent: 100, timeoutMs: 5000 },
    });
    expect(answer.wait).toMatchObject({ reached: true, applied: 1, agents: 1, missing: [] });
    expect(answer.wait?.slowestMs).toBeLessThan(1000);
  });

  it('puts an announced workload into the snapshot', async () => {
    await place.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await eventually(
      'the endpoint is there',
      () => edge.snapshot?.upstreams['bibby/catalog-service@v1.0']?.endpoints.length === 1,
    );
    const fleet = await place.get<FleetAnswer>(control.url, '/v1/fleet');
    expect(fleet.agents.map(({ agent, state }) => [agent, state])).toEqual([
      ['catalog-1', 'live'],
      ['edge-1', 'live'],
    ]);
  });

  it('streams events live, and goes on where a stream broke off', async () => {
    const listen = async (headers: Record<string, string>) => {
      const stop = new AbortController();
      const response = await fetch(`${control.url}/v1/events`, {
        headers: { authorization: `Bearer ${await place.token('viewer')}`, ...headers },
        signal: stop.signal,
      });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      let text = '';
      void (async () => {
        for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk);
      })().catch(() => {});
      return { text: () => text, stop: () => stop.abort() };
    };
    const first = await listen({});
    const apply = (path: string) =>
      place.post<ApplyAnswer>(control.url, '/v1/policy', {
        documents: [{ file: 'route.yaml', text: route(path) }],
      });
    const { revision } = await apply('/one');
    await eventually('it is told', () => first.text().includes('weir.policy.committed'));
    const id = /id: (\d+)\ndata: .*policy\.committed/.exec(first.text())?.[1] ?? '';
    first.stop();
    await apply('/two');
    const second = await listen({ 'last-event-id': id });
    await eventually('the rest is told', () =>
      second.text().includes(`"subject":"r${revision + 1}"`),
    );
    expect(second.text()).not.toContain(`"subject":"r${revision}"`);
    second.stop();
    const refused = await fetch(`${control.url}/v1/events`);
    expect(refused.status).toBe(401);
    const last = await apply('/books');
    await eventually('the edge has it', () => edge.state.active?.revision === last.revision);
  });

  it('tells where it is', async () => {
    const file = join(place.installation.home, 'control.json');
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ url: control.url });
  });

  it('leads again at once after a kill, and changes nothing', async () => {
    const before = JSON.stringify(edge.snapshot);
    await control.kill();
    control = await place.control();
    const tookMs = await eventually('it leads', async () => {
      const response = await fetch(`${control.url}/ready`);
      return response.status === 200;
    });
    expect(tookMs).toBeLessThan(3000);
    expect(JSON.stringify(edge.snapshot)).toBe(before);
    const answer = await place.post<ApplyAnswer>(control.url, '/v1/policy', {
      documents: [{ file: 'route.yaml', text: route('/catalog') }],
      wait: { percent: 100, timeoutMs: 5000 },
    });
    expect(answer.wait?.reached).toBe(true);
    expect(edge.outcomes.filter((outcome) => outcome !== 'applied')).toEqual([]);
  });

  it('says in one sentence why it cannot start', async () => {
    const address = new URL(control.url).host;
    await expect(place.control('control-2', { WEIR_ADMIN_ADDRESS: address })).rejects.toThrow(
      /^control: the admin API cannot listen on 127\.0\.0\.1:\d+: [^\n]*EADDRINUSE[^\n]*\n$/m,
    );
    await expect(place.control('control-2', { WEIR_MESH: 'a b' })).rejects.toThrow(
      /^control: WEIR_MESH may have letters, digits, "-" and "_" only, not "a b"\.\n$/,
    );
  });

  it('ends in order when it is asked to', async () => {
    expect(await control.stop()).toBe(0);
    expect(control.output()).toMatch(/stopped\n$/);
  });
});
