import { describe, expect, it } from 'vitest';
import { hostOf } from '#adapters/dataplane-node/http1/authority.ts';

describe('the host of an authority', () => {
  it.each<[string, string | undefined]>([
    ['api.bibby.com', 'api.bibby.com'],
    ['API.Bibby.COM:8080', 'api.bibby.com'],
    ['api.bibby.com.', 'api.bibby.com'],
    ['catalog_service', 'catalog_service'],
    ['127.0.0.1:80', '127.0.0.1'],
    ['[::1]:80', '[::1]'],
    ['', undefined],
    ['.', undefined],
    ['a..b', undefined],
    ['a..', undefined],
    ['a@evil', undefined],
    ['a/../x', undefined],
    ['a,b', undefined],
    ['a b', undefined],
    ['a:b', undefined],
    ['a:', undefined],
    ['a:99999', undefined],
    ['a:80:80', undefined],
    ['a%2eb', undefined],
    ['[::1', undefined],
    ['a?b', undefined],
    ['a#b', undefined],
    ['-a', undefined],
    ['\xe4.example', undefined],
    ['a'.repeat(300), undefined],
  ])('%j is %j', (authority, host) => {
    expect(hostOf(authority)).toBe(host);
  });
});
