import { describe, expect, it } from 'vitest';
import { answer, answerHeaders } from '#services/bibby/answer.ts';
import { parseConfig } from '#services/bibby/config.ts';
import { holdingsOf } from '#services/bibby/holdings.ts';

const half = () => 0.5;
const world = (service: string, env: Record<string, string> = {}) => {
  const config = parseConfig([service], env);
  return { config, holdings: holdingsOf(config.service, config.version) };
};
const get = (service: string, target: string, env: Record<string, string> = {}) =>
  answer(world(service, env), { method: 'GET', target, headers: {}, body: '' }, half);

describe('a Bibby service', () => {
  it.each([
    ['catalog', '/books'],
    ['catalog', '/authors'],
    ['library', '/bookcases'],
    ['library', '/shelves'],
    ['circulation', '/checkouts'],
  ])('%s serves %s with and without /api/v1', (service, path) => {
    const stripped = get(service, path);
    expect(stripped.status).toBe(200);
    expect(get(service, `/api/v1${path}`).body).toEqual(stripped.body);
  });

  it('finds one item and names the one it does not have', () => {
    expect(get('catalog', '/books/book-1').body).toMatchObject({ title: 'The Dispossessed' });
    expect(get('catalog', '/books/none')).toMatchObject({ status: 404 });
    expect(get('catalog', '/books/__proto__')).toMatchObject({ status: 404 });
  });

  it('names its version and the request that it answers', () => {
    const { config } = world('catalog');
    expect(answerHeaders(config, { 'x-request-id': 'r1' })).toEqual({
      'x-bibby-version': 'v1.0',
      'x-request-id': 'r1',
    });
    expect(answerHeaders(config, {})).toEqual({ 'x-bibby-version': 'v1.0' });
  });

  it('filters by field', () => {
    expect(get('catalog', '/books?author=author-1').body).toMatchObject({ total: 2 });
  });

  it('adds a field in catalog v1.1', () => {
    const path = '/books/book-1';
    expect(get('catalog', path).body).not.toHaveProperty('formats');
    expect(get('catalog', path, { BIBBY_VERSION: 'v1.1' }).body).toHaveProperty('formats');
  });

  it('lends a book and takes it back', () => {
    const circulation = world('circulation');
    const ask = (method: string, target: string, body = '') =>
      answer(circulation, { method, target, headers: {}, body }, half);
    const lent = ask('POST', '/checkouts', '{"book":"book-1","reader":"carol"}');
    expect(lent).toMatchObject({ status: 201, body: { reader: 'carol' } });
    const { id } = lent.body as { id: string };
    expect(ask('DELETE', `/checkouts/${id}`).status).toBe(204);
    expect(ask('GET', `/checkouts/${id}`).status).toBe(404);
  });

  it.each([
    ['not json', 400],
    ['[]', 400],
    ['{"book":"book-1"}', 422],
  ])('refuses the checkout %s with %i', (body, status) => {
    const request = { method: 'POST', target: '/checkouts', headers: {}, body };
    expect(answer(world('circulation'), request, half).status).toBe(status);
  });

  it('fails at the rate it is told, but never its health check', () => {
    const env = { BIBBY_ERROR_RATE: '1' };
    expect(get('catalog', '/books', env).status).toBe(500);
    expect(get('catalog', '/health', env).status).toBe(200);
  });

  it('echoes the identity that the gateway vouches for', () => {
    const headers = { 'x-user-id': 'alice', 'x-user-roles': 'reader', 'x-request-id': 'r-1' };
    const request = { method: 'GET', target: '/whoami', headers, body: '' };
    expect(answer(world('library'), request, half).body).toMatchObject({
      user: 'alice',
      roles: 'reader',
      requestId: 'r-1',
    });
  });

  it('takes its time around the median', () => {
    expect(get('catalog', '/books', { BIBBY_LATENCY_MS: '0' }).waitMs).toBe(0);
    expect(get('catalog', '/books', { BIBBY_LATENCY_MS: '10' }).waitMs).toBeCloseTo(6.2, 0);
  });
});

describe('the start-up configuration', () => {
  it.each([
    [[], {}, 'Say which service'],
    [['catalog'], { PORT: 'x' }, 'PORT must be a number'],
    [['catalog'], { BIBBY_ERROR_RATE: '5' }, 'BIBBY_ERROR_RATE must be a number from 0 to 1'],
  ])('refuses %j %j', (args, env, message) => {
    expect(() => parseConfig(args, env)).toThrow(message);
  });
});
