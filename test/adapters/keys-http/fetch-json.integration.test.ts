import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createJsonFetcher } from '#adapters/keys-http/fetch-json.ts';
import { isRefusedAddress } from '#adapters/keys-http/refused-address.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const serve = async (listener: RequestListener) => {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
};

const fetching = async (address: string) => {
  const { fetchJson, close } = createJsonFetcher({ deadlineMs: 300 });
  try {
    return await fetchJson(address);
  } finally {
    await close();
  }
};

describe('fetching a key set', () => {
  it('reads JSON', async () => {
    const address = await serve((_request, response) => response.end('{"keys":[]}'));
    await expect(fetching(address)).resolves.toEqual({ keys: [] });
  });

  it('does not follow a redirect', async () => {
    const address = await serve((_request, response) =>
      response.writeHead(302, { location: '/x' }).end(),
    );
    await expect(fetching(address)).rejects.toThrow('answered 302');
  });

  it('stops reading what is too large', async () => {
    const address = await serve((_request, response) => response.end(Buffer.alloc(1024 * 1024)));
    await expect(fetching(address)).rejects.toThrow();
  });

  it('gives up on an answer that drips', async () => {
    const address = await serve((_request, response) => void response.write('{'));
    await expect(fetching(address)).rejects.toThrow();
  });

  it('says what is not JSON', async () => {
    const address = await serve((_request, response) => response.end('<html>'));
    await expect(fetching(address)).rejects.toThrow('did not answer JSON');
  });

  it.each([
    'http://169.254.169.254/latest',
    'http://[fe80::1]/',
    'http://[::ffff:169.254.169.254]/',
    'file:///etc/passwd',
    'http://0.0.0.0/',
  ])('refuses %s', async (address) => {
    await expect(fetching(address)).rejects.toThrow(/refused|only http/);
  });
});

describe('refused addresses', () => {
  it.each([
    ['169.254.169.254', true],
    ['::ffff:169.254.169.254', true],
    ['fe80::1', true],
    ['100.100.100.200', true],
    ['nonsense', true],
    ['127.0.0.1', false],
    ['10.0.0.1', false],
    ['2001:db8::1', false],
  ])('%s: %s', (address, refused) => {
    expect(isRefusedAddress(address)).toBe(refused);
  });
});
