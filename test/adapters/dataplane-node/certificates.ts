// Certificates for tests, made by openssl in a temporary folder.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestCertificates {
  readonly folder: string;
  /** Text of `<name>.crt` or `<name>.key`. */
  readonly pem: (file: string) => string;
  readonly authority: (name: string) => void;
  /** `san` as in `DNS:api.bibby.com`. */
  readonly issue: (name: string, san: string, ca: string) => void;
  close(): void;
}

export const testCertificates = (): TestCertificates => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-tls-'));
  const openssl = (args: string): void =>
    void execFileSync('openssl', args.split(' '), { cwd: folder, stdio: 'ignore' });
  return {
    folder,
    pem: (file) => readFileSync(join(folder, file), 'utf8'),
    authority: (name) => {
      openssl(
        'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 ' +
          `-subj /CN=${name} -keyout ${name}.key -out ${name}.crt ` +
          '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign',
      );
    },
    issue: (name, san, ca) => {
      const extensions = [
        `subjectAltName=${san}`,
        'keyUsage=critical,digitalSignature',
        'basicConstraints=critical,CA:FALSE',
        'extendedKeyUsage=serverAuth,clientAuth',
      ];
      writeFileSync(join(folder, `${name}.ext`), extensions.join('\n'));
      openssl(
        'req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ' +
          `-subj /CN=${name} -keyout ${name}.key -out ${name}.csr`,
      );
      openssl(
        `x509 -req -in ${name}.csr -days 2 -extfile ${name}.ext ` +
          `-CA ${ca}.crt -CAkey ${ca}.key -CAcreateserial -out ${name}.crt`,
      );
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
};
