import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type {
  ApplyAnswer,
  ErrorAnswer,
  FleetAnswer,
  GetAnswer,
  HistoryAnswer,
} from '#engine/model/api.ts';
import { operations } from '#engine/model/api.ts';
import { families } from '#services/control/metrics.ts';
import { all, bibby, gateway, route, service } from './documents.ts';
import { settle } from './test-time.ts';
import { catalog, World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = new World();
  await world.start();
});
afterEach(() => world.stop());

const APPLY = ['POST', '/v1/policy'] as const;
const DIFF = ['POST', '/v1/policy/diff'] as const;
const GET = ['GET', '/v1/policy'] as const;
const documents = (text: string) => [{ file: 'policy.yaml', text }];
const broken = route().replace('service: catalog-service', 'service: nobody');
const mistyped = route().replace('timeout:', 'timeuot:');

describe('who may', () => {
  it('is nobody without a token', async () => {
    const app = world.replicas[0]?.control.http;
    const response = await app?.inject({ method: 'GET', url: '/v1/policy' });
    expect(response?.statusCode).toBe(401);
    expect(response?.json()).toMatchObject({
      error: { code: 'ERR_REQUEST_UNAUTHENTICATED', hint: expect.any(String) },
    });
    const wrong = await app?.inject({
      method: 'GET',
      url: '/v1/policy',
      headers: { authorization: 'Bearer guessed' },
    });
    expect(wrong?.statusCode).toBe(401);
  });

  it.each(Object.entries(operations).filter(([, { role }]) => role === 'operator'))(
    'call %s is an operator, not a viewer',
    async (_operation, { method, path }) => {
      const { status, body } = await world.call([method, path], {}, { role: 'viewer' });
      expect([status, body.error.code]).toEqual([403, 'ERR_REQUEST_FORBIDDEN']);
    },
  );

  it('change policy is told by the commit', async () => {
    await world.apply(bibby, { message: 'first' });
    const { body } = await world.call<HistoryAnswer>(['GET', '/v1/policy/history']);
    expect(body.commits).toMatchObject([{ revision: 1, author: 'operator', message: 'first' }]);
  });

  it('speak for a scope is the agent that it belongs to', async () => {
    await world.agent('liar', 'edge.public');
    const { body } = await world.call<FleetAnswer>(['GET', '/v1/fleet']);
    expect(body.agents).toEqual([]);
  });
});

describe('apply', () => {
  it('judges what nobody enforces yet by what agents usually enforce', async () => {
    await world.stop();
    world = new World();
    await world.start('control-1', { assumed: new Set() });
    const { diagnostics } = await world.apply(bibby);
    expect(diagnostics.map(({ code }) => code)).toContain('ERR_POLICY_NOT_SUPPORTED');
  });

  it('says what was created, updated and left alone', async () => {
    await world.apply(bibby);
    const answer = await world.apply(all(gateway, service, route('/books')));
    expect(answer.revision).toBe(2);
    expect(answer.changes.map(({ change }) => change).toSorted()).toEqual([
      'unchanged',
      'unchanged',
      'updated',
    ]);
  });

  it('makes no commit of what is already so', async () => {
    await world.apply(bibby);
    expect((await world.apply(bibby)).revision).toBe(1);
  });

  it('takes YAML as the body', async () => {
    const { status, body } = await world.call<ApplyAnswer>(
      ['POST', '/v1/policy?message=by%20hand'],
      bibby,
      { type: 'application/yaml' },
    );
    expect([status, body.revision]).toEqual([200, 1]);
  });

  it('tells every mistake at once and applies the rest', async () => {
    const { revision, quarantined, diagnostics } = await world.apply(
      all(gateway, mistyped, service, broken.replace('name: catalog,', 'name: other,'), 'kind: ['),
    );
    expect(revision).toBe(1);
    expect(quarantined).toEqual(['Route/bibby/catalog', 'Route/bibby/other']);
    const codes = diagnostics.map(({ code }) => code);
    expect(codes).toEqual(
      expect.arrayContaining([
        'ERR_YAML_SYNTAX',
        'ERR_FIELD_UNKNOWN',
        'ERR_POLICY_UNKNOWN_SERVICE',
      ]),
    );
  });

  it('refuses to write what can never become right', async () => {
    await world.apply(all(gateway, service, mistyped));
    const { body } = await world.call<GetAnswer>(GET);
    expect(body.resources.map(({ id }) => id)).not.toContain('Route/bibby/catalog');
  });

  it('writes what waits for something, and puts it in force when that comes', async () => {
    await world.apply(all(gateway, route()));
    const edge = await world.agent('edge-1', 'edge.public');
    const { body } = await world.call<GetAnswer>(['GET', '/v1/policy?kind=routes']);
    expect(body.resources).toMatchObject([{ id: 'Route/bibby/catalog', quarantined: true }]);
    await world.apply(service);
    await world.until(
      'the route is served',
      () => edge.snapshot?.rules[0]?.action.type === 'forward',
    );
  });

  it('keeps the last good version of a resource in force', async () => {
    await world.apply(bibby);
    const edge = await world.agent('edge-1', 'edge.public');
    await settle();
    const answer = await world.apply(broken);
    expect(answer).toMatchObject({ revision: 2, quarantined: ['Route/bibby/catalog'] });
    await world.seconds(1);
    expect(edge.snapshot?.rules[0]?.action.type).toBe('forward');
    world.replicas.at(-1)?.kill();
    await world.start();
    await world.seconds(1);
    expect(edge.snapshot?.rules[0]?.action.type).toBe('forward');
  });

  it('changes nothing when all or nothing is asked for', async () => {
    const { status, body } = await world.call<ApplyAnswer>(APPLY, {
      documents: documents(all(gateway, broken)),
      allOrNothing: true,
    });
    expect([status, body.error.code]).toEqual([422, 'ERR_POLICY_INVALID']);
    expect(body.error.details).toMatchObject({
      diagnostics: [{ code: 'ERR_POLICY_UNKNOWN_SERVICE', location: { file: 'policy.yaml' } }],
    });
    expect((await world.call<GetAnswer>(GET)).body.revision).toBe(0);
  });

  it('is an error when nothing of it can be read', async () => {
    const { status, body } = await world.call(APPLY, { documents: documents('kind: [') });
    expect([status, body.error.code]).toEqual([422, 'ERR_POLICY_INVALID']);
  });

  it('only tries when it is a dry run', async () => {
    const answer = await world.apply(bibby, { dryRun: true });
    expect(answer).toMatchObject({ revision: 0, dryRun: true });
    expect(answer.changes.every(({ change }) => change === 'created')).toBe(true);
    expect((await world.call<GetAnswer>(GET)).body.resources).toEqual([]);
  });

  it('holds to the revision that the caller knows', async () => {
    await world.apply(bibby);
    const { status, body } = await world.call(APPLY, {
      documents: documents(route('/x')),
      expectRevision: 0,
    });
    expect([status, body.error.code]).toEqual([409, 'ERR_POLICY_CONFLICT']);
  });

  it('lets many callers at once all have their way', async () => {
    await world.apply(bibby);
    const names = Array.from({ length: 12 }, (_, index) => `route-${index}`);
    const answers = await Promise.all(
      names.map((name) => world.apply(route().replace('name: catalog,', `name: ${name},`))),
    );
    const revisions = answers.map(({ revision }) => revision).toSorted((a, b) => a - b);
    expect(revisions).toEqual(names.map((_, index) => index + 2));
    const { body } = await world.call<GetAnswer>(['GET', '/v1/policy?kind=Route']);
    expect(body.resources).toHaveLength(13);
  });
});

describe('waiting for an apply', () => {
  const apply = (text: string, percent: number) =>
    world.call<ApplyAnswer>(APPLY, {
      documents: documents(text),
      wait: { percent, timeoutMs: 2000 },
    });

  it('ends when every agent of the scope has it', async () => {
    await world.agent('edge-1', 'edge.public');
    await world.agent('edge-2', 'edge.public');
    await world.agent('other', 'sidecar.bibby.other');
    const answer = apply(bibby, 100);
    await settle(200);
    await world.time.advance(100);
    const { body } = await answer;
    expect(body.wait).toMatchObject({ reached: true, applied: 2, agents: 2, missing: [] });
  });

  it('ends with the names of those that do not have it', async () => {
    await world.agent('edge-1', 'edge.public');
    await world.agent('edge-2', 'edge.public', { refuse: 'port 8080 is taken' });
    const answer = apply(bibby, 100);
    await settle(200);
    await world.seconds(3);
    const { body } = await answer;
    expect(body.wait).toMatchObject({ reached: false, applied: 1, agents: 2, missing: ['edge-2'] });
    const fleet = await world.call<FleetAnswer>(['GET', '/v1/fleet']);
    expect(fleet.body.agents[1]?.lastRejection?.reason).toBe('port 8080 is taken');
    const types = (await world.events()).map(({ type }) => type);
    expect(types).toContain('weir.agent.rejected');
  });

  it('is content with a share', async () => {
    await world.agent('edge-1', 'edge.public');
    await world.agent('edge-2', 'edge.public', { refuse: 'no' });
    const answer = apply(bibby, 50);
    await settle(200);
    await world.time.advance(100);
    expect((await answer).body.wait).toMatchObject({ reached: true, missing: ['edge-2'] });
  });
});

describe('diff, history, rollback, delete', () => {
  it('shows what would change, line by line', async () => {
    await world.apply(bibby);
    const { body } = await world.call<ApplyAnswer>(DIFF, { documents: documents(route('/books')) });
    expect(body.changes[0]?.diff).toContain('-        - path: { prefix: /catalog }\n');
    expect(body.changes[0]?.diff).toContain('+        - path: { prefix: /books }\n');
    expect((await world.call<GetAnswer>(GET)).body.revision).toBe(1);
  });

  it('goes back to an old set with a new commit', async () => {
    await world.apply(bibby);
    await world.apply(all(route('/books'), route().replace('name: catalog,', 'name: extra,')));
    const { body } = await world.call<ApplyAnswer>(['POST', '/v1/policy/rollback'], {
      revision: 1,
    });
    expect(body.revision).toBe(3);
    expect(body.changes.filter(({ change }) => change !== 'unchanged')).toEqual([
      { id: 'Route/bibby/catalog', change: 'updated' },
      { id: 'Route/bibby/extra', change: 'deleted' },
    ]);
    const { body: set } = await world.call<GetAnswer>(['GET', '/v1/policy?kind=Route']);
    expect(set.resources.map(({ text }) => text).join('')).toContain('/catalog');
  });

  it('does not go back to what never was', async () => {
    const { status } = await world.call(['POST', '/v1/policy/rollback'], { revision: 9 });
    expect(status).toBe(404);
  });

  it('deletes by name, all or nothing', async () => {
    await world.apply(bibby);
    const ids = ['Route/bibby/catalog', 'Route/bibby/nobody'];
    const { status, body } = await world.call(['POST', '/v1/policy/delete'], { ids });
    expect([status, body.error.message]).toEqual([404, 'there is no Route/bibby/nobody']);
    const done = await world.call<ApplyAnswer>(['POST', '/v1/policy/delete'], {
      ids: ids.slice(0, 1),
    });
    expect(done.body.changes).toMatchObject([{ change: 'deleted' }]);
  });

  it('shows the set as it was', async () => {
    await world.apply(bibby);
    await world.apply(route('/books'));
    const { body } = await world.call<GetAnswer>(['GET', '/v1/policy?kind=route&revision=1']);
    expect(body.resources[0]?.text).toContain('/catalog');
  });
});

describe('explain', () => {
  it('answers from what was published', async () => {
    await world.apply(bibby);
    await world.agent('catalog-1', 'sidecar.bibby.catalog', { workload: catalog('v1.0') });
    await world.seconds(1);
    const { status, body } = await world.call<{ outcome: object; scope: string }>(
      ['POST', '/v1/explain'],
      { method: 'get', url: 'http://api.bibby.com:8080/catalog/../catalog/books?x=1' },
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({
      scope: 'edge.public',
      outcome: { type: 'forward', version: 'v1.0', target: '/catalog/books?x=1' },
    });
  });

  it('says why nothing matches', async () => {
    await world.apply(bibby);
    await settle();
    const { body } = await world.call(['POST', '/v1/explain'], {
      url: '/nothing',
      headers: [['Host', 'api.bibby.com']],
    });
    expect(body).toMatchObject({ outcome: { type: 'respond', status: 404 } });
  });

  it('needs to know the scope where there are several', async () => {
    await world.apply(all(bibby, gateway.replace('name: public', 'name: second')));
    await settle();
    const { status, body } = await world.call(['POST', '/v1/explain'], { url: '/catalog' });
    expect([status, body.error.message]).toEqual([400, 'name the scope: edge.public, edge.second']);
  });
});

describe('explain without a gateway', () => {
  it('names the sidecars to choose from', async () => {
    await world.apply(all(bibby));
    for (const name of ['one', 'two'])
      await world.agent(name, `sidecar.bibby.${name}`, {
        workload: { ...catalog('v1.0'), name },
      });
    await world.call(['POST', '/v1/policy/delete'], { ids: ['Gateway/bibby/public'] });
    await settle();
    const { body } = await world.call(['POST', '/v1/explain'], { url: '/catalog' });
    expect(body.error.message).toBe('name the scope: sidecar.bibby.one, sidecar.bibby.two');
  });
});

describe('over the bus', () => {
  const ask = async (user: string | undefined, operation: string, payload: string) => {
    const { bus } = world.hub.connect(user);
    const data = new TextEncoder().encode(payload);
    const answer = await bus.request(`weir.default.api.${operation}`, data, 1000);
    return JSON.parse(new TextDecoder().decode(answer)) as ErrorAnswer & ApplyAnswer;
  };

  it('a user applies plain YAML', async () => {
    expect((await ask('alice', 'policy.apply', bibby)).revision).toBe(1);
    const { body } = await world.call<HistoryAnswer>(['GET', '/v1/policy/history']);
    expect(body.commits[0]?.author).toBe('alice');
  });

  it('a user sends the request as JSON', async () => {
    const request = JSON.stringify({ documents: documents(bibby), message: 'json' });
    expect((await ask('alice', 'policy.apply', request)).revision).toBe(1);
  });

  it('a document may be JSON', async () => {
    const document = {
      apiVersion: 'weir.dev/v1',
      kind: 'Gateway',
      metadata: { name: 'public' },
      spec: { listeners: [{ name: 'http', port: 8080, protocol: 'HTTP' }] },
    };
    expect((await ask('alice', 'policy.apply', JSON.stringify(document))).revision).toBe(1);
  });

  it.each([
    [undefined, 'policy.get', '', 'ERR_REQUEST_UNAUTHENTICATED'],
    ['edge-1', 'policy.get', '', 'ERR_REQUEST_UNAUTHENTICATED'],
    ['liar', 'policy.get', '', 'ERR_REQUEST_UNAUTHENTICATED'],
    ['victor', 'policy.apply', bibby, 'ERR_REQUEST_FORBIDDEN'],
    ['alice', 'policy.get', '{', 'ERR_REQUEST_INVALID'],
    ['alice', 'policy.get', '[1]', 'ERR_REQUEST_INVALID'],
    ['alice', 'policy.get', '{"nmae":"x"}', 'ERR_REQUEST_INVALID'],
    ['alice', 'constructor.name', '', 'ERR_REQUEST_NOT_FOUND'],
    ['alice', 'policy.apply', 'kind: [', 'ERR_POLICY_INVALID'],
  ])('%s calling %s with %j is told %s', async (user, operation, payload, code) => {
    expect((await ask(user, operation, payload)).error.code).toBe(code);
  });
});

describe('hostile input', () => {
  const bad = (payload: string, type = 'application/json') =>
    world.call<ApplyAnswer>(APPLY, payload, { type });

  it.each([
    ['broken JSON', '{"documents": ['],
    ['no object', '"text"'],
    ['a wrong type', '{"documents": "text"}'],
    ['no documents', '{"documents": []}'],
    ['an unknown field', '{"documents": [{"file": "a", "text": "b"}], "dry_run": true}'],
    ['a polluting key', '{"__proto__": {"documents": []}}'],
    ['no body', ''],
  ])('%s is one clear error', async (_what, payload) => {
    const { status, body } = await bad(payload);
    expect([status, body.error.code]).toEqual([400, 'ERR_REQUEST_INVALID']);
  });

  it('of ten megabytes is one clear diagnostic', async () => {
    const { status, body } = await bad(`kind: ${'x'.repeat(10_000_000)}`, 'application/yaml');
    expect(status).toBe(422);
    expect(body.error.details).toMatchObject({ diagnostics: [{ code: 'ERR_YAML_TOO_LARGE' }] });
  });

  it('beyond every limit is refused before it is read', async () => {
    const { status, body } = await bad('x'.repeat(33 * 1024 * 1024), 'application/yaml');
    expect([status, body.error.code]).toEqual([413, 'ERR_MESSAGE_TOO_LARGE']);
  });

  it('of an unknown type is refused', async () => {
    const { status, body } = await bad('<xml/>', 'text/xml');
    expect([status, body.error.code]).toEqual([400, 'ERR_REQUEST_INVALID']);
  });

  it('from agents is counted and dropped', async () => {
    const { bus } = world.hub.connect('edge-1');
    const send = (subject: string, text: string) =>
      bus.publish(`weir.default.${subject}`, new TextEncoder().encode(text));
    send('ack.edge.public.edge-1', '{');
    send('ack.edge.public.edge-1', '{"v":1,"type":"ack"}');
    send('alive.edge-1', 'null');
    send('leader.alive', '\u0000');
    send('sample.edge.public.edge-1', '[]');
    await world.seconds(2);
    const metrics = await world.replicas[0]?.control.http.inject({ url: '/metrics' });
    expect(metrics?.body).toContain('weir_dropped_messages_total{kind="ack"} 2');
    expect(metrics?.body).toContain('weir_dropped_messages_total{kind="heartbeat"} 1');
    expect(metrics?.body).toContain('weir_dropped_messages_total{kind="sample"} 1');
    expect((await world.apply(bibby)).revision).toBe(1);
  });

  it('for another agent is not believed', async () => {
    await world.agent('edge-1', 'edge.public');
    const other = world.hub.connect('edge-2').bus;
    const beat = {
      v: 1,
      type: 'alive',
      agent: 'edge-1',
      scope: 'edge.public',
      incarnation: 'forged',
      atMs: 0,
      revision: 99,
      position: 99,
      state: 'draining',
      capabilities: [],
      version: 'x',
    };
    other.publish('weir.default.alive.edge-2', new TextEncoder().encode(JSON.stringify(beat)));
    await settle();
    const { body } = await world.call<FleetAnswer>(['GET', '/v1/fleet']);
    expect(body.agents).toMatchObject([{ agent: 'edge-1', state: 'live' }]);
  });
});

describe('beside the operations', () => {
  it('an OpenAPI document describes every one of them', async () => {
    const response = await world.replicas[0]?.control.http.inject({ url: '/openapi.json' });
    const paths = response?.json<{
      paths: Record<string, Record<string, { operationId: string }>>;
    }>().paths;
    for (const [operation, { method, path }] of Object.entries(operations))
      expect(paths?.[path]?.[method.toLowerCase()]?.operationId).toBe(operation);
  });

  it('every metric is shown', async () => {
    await world.apply(bibby);
    await world.agent('edge-1', 'edge.public');
    await world.seconds(1);
    const response = await world.replicas[0]?.control.http.inject({ url: '/metrics' });
    for (const name of Object.keys(families)) expect(response?.body).toContain(`# TYPE ${name} `);
    expect(response?.body).toContain('weir_acks_total{outcome="applied"} 1');
    expect(response?.body).toContain('weir_leader_epoch 1');
    expect(response?.body).toMatch(/weir_propagation_seconds_count 1/);
  });

  it('liveness and readiness are told apart', async () => {
    const { control, broker } = world.replicas[0] ?? (await world.start());
    broker.cut();
    expect((await control.http.inject({ url: '/live' })).statusCode).toBe(200);
    const ready = await control.http.inject({ url: '/ready' });
    expect(ready.statusCode).toBe(503);
    expect(ready.json()).toMatchObject({ ready: false, reasons: ['the bus is away'] });
  });

  it('what does not exist is a JSON error', async () => {
    const { status, body } = await world.call(['GET', '/v2/policy']);
    expect([status, body.error.code]).toEqual([404, 'ERR_REQUEST_NOT_FOUND']);
  });

  it('a command on a follower names the leader', async () => {
    await world.start('control-2');
    const { status, body } = await world.call(['POST', '/v1/rollouts/promote'], { name: 'x' });
    expect([status, body.error.code]).toEqual([503, 'ERR_NOT_LEADER']);
    expect(body.error.details).toEqual({ instance: 'control-1', epoch: 1 });
  });
});
