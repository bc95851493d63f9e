import { describe, expect, it } from 'vitest';
import { createMemoryHub } from '#adapters/bus-memory/broker.ts';
import type { Source } from '#engine/model/commit.ts';
import type { ResourceId } from '#engine/model/resource.ts';
import { streams, subjects } from '#engine/model/subjects.ts';
import { PolicyLog } from '#services/control/policy-log.ts';
import { withLastGood } from '#services/control/policy-state.ts';
import { settle } from './test-time.ts';

const route: ResourceId = 'Route/bibby/catalog';
const source = (text: string): Source => ({ file: 'route.yaml', line: 1, text });

const open = async (hub = createMemoryHub()): Promise<PolicyLog> => {
  const log = new PolicyLog(await hub.connect().log(streams.policy), subjects(), (where, error) => {
    throw new Error(where, { cause: error });
  });
  await log.load();
  return log;
};

const put = (log: PolicyLog, text: string, quarantined: readonly ResourceId[] = []) =>
  log.commit({
    base: log.state,
    author: 'alice',
    message: text,
    atMs: 1,
    changes: [{ type: 'put', id: route, source: source(text) }],
    quarantined,
  });

describe('the commit log', () => {
  it('counts revisions without gaps', async () => {
    const log = await open();
    await put(log, 'a');
    await put(log, 'b');
    expect(log.state.revision).toBe(2);
    expect(log.state.sources.get(route)?.text).toBe('b');
  });

  it('lets one of two writers win', async () => {
    const hub = createMemoryHub();
    const [one, two] = [await open(hub), await open(hub)];
    const base = two.state;
    await put(one, 'a');
    const late = two.commit({
      base,
      author: 'bob',
      message: '',
      atMs: 1,
      changes: [],
      quarantined: [],
    });
    await expect(late).rejects.toThrow(expect.objectContaining({ code: 'ERR_LOG_CONFLICT' }));
    await two.catchUp();
    expect(two.state.revision).toBe(1);
  });

  it('hands out every commit once, own ones and those of others', async () => {
    const hub = createMemoryHub();
    const [one, two] = [await open(hub), await open(hub)];
    const seen: number[] = [];
    void (async () => {
      for await (const { commit } of one.commits) seen.push(commit.revision);
    })();
    await put(one, 'a');
    await settle();
    await put(two, 'b');
    await settle();
    expect(seen).toEqual([1, 2]);
  });

  it('comes back the same from a checkpoint and the commits after it', async () => {
    const hub = createMemoryHub();
    const before = await open(hub);
    for (let count = 1; count <= 130; count += 1)
      await put(before, `text ${count}`, count > 90 ? [route] : []);
    const after = await open(hub);
    expect(after.state).toEqual(before.state);
    expect(after.state.good.get(route)?.text).toBe('text 90');
  });

  it('tells history newest first, across checkpoints', async () => {
    const log = await open();
    for (let count = 1; count <= 105; count += 1) await put(log, `text ${count}`);
    const revisions = (await log.history(10)).map(({ revision }) => revision);
    expect(revisions).toEqual([105, 104, 103, 102, 101, 100, 99, 98, 97, 96]);
    expect(await log.history(1000)).toHaveLength(105);
  });

  it('knows the set as it was', async () => {
    const log = await open();
    await put(log, 'a');
    await put(log, 'b');
    expect((await log.at(1)).sources.get(route)?.text).toBe('a');
    expect((await log.at(0)).sources.size).toBe(0);
    await expect(log.at(7)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_REQUEST_NOT_FOUND' }),
    );
  });
});

describe('the last good version', () => {
  it('stands in for a version that does not compile', async () => {
    const log = await open();
    await put(log, 'good');
    await put(log, 'bad', [route]);
    expect(log.state.sources.get(route)?.text).toBe('bad');
    const { sources, replaced } = withLastGood(log.state, [route]);
    expect(sources.get(route)?.text).toBe('good');
    expect(replaced).toEqual([route]);
  });

  it('is what healed meanwhile', async () => {
    const log = await open();
    await put(log, 'waits for its service', [route]);
    await log.commit({
      base: log.state,
      author: 'alice',
      message: 'the service',
      atMs: 1,
      changes: [{ type: 'put', id: 'Service/bibby/catalog', source: source('service') }],
      quarantined: [],
    });
    expect(log.state.good.get(route)?.text).toBe('waits for its service');
  });

  it('does not exist for what never compiled', async () => {
    const log = await open();
    await put(log, 'bad', [route]);
    expect(withLastGood(log.state, [route]).replaced).toEqual([]);
  });
});

describe('a stream that is asked how far it is', () => {
  it('is not taken for shorter when a commit comes while it answers', async () => {
    const hub = createMemoryHub();
    const real = await hub.connect().log(streams.policy);
    const answers = Promise.withResolvers<void>();
    const complaints: string[] = [];
    const log = new PolicyLog(
      {
        ...real,
        lastSequence: async () => {
          const last = await real.lastSequence();
          await answers.promise;
          return last;
        },
      },
      subjects(),
      (where) => complaints.push(where),
    );
    await log.load();
    await put(log, 'a');
    const asked = log.verify();
    await settle(2);
    await put(log, 'b');
    answers.resolve();
    expect(await asked).toMatchObject({ isWhole: true });
    await put(log, 'c');
    expect(log.state.revision).toBe(3);
    expect(complaints).toEqual([]);
  });
});
