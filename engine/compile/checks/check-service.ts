import type { Service } from '../../model/resource.ts';
import { didYouMean } from '../documents/suggest.ts';
import type { Finding } from '../findings.ts';
import { atMostOne, duplicates } from './conflicts.ts';

export const checkService = ({ spec }: Service): readonly Finding[] => {
  const names = spec.versions.map(({ name }) => name);
  const findings: Finding[] = [
    ...duplicates(names, 'versions', (index) => ['spec', 'versions', index, 'name']),
  ];
  if (spec.baseline !== undefined && !names.includes(spec.baseline))
    findings.push({
      code: 'ERR_POLICY_UNKNOWN_VERSION',
      path: ['spec', 'baseline'],
      message: `there is no version "${spec.baseline}"`,
      hint: didYouMean(
        spec.baseline,
        names,
        names.length > 0 ? `The versions are ${names.join(', ')}.` : 'List versions first.',
      ),
    });
  const { hash, policy } = spec.loadBalancing;
  if (hash) {
    const path = ['spec', 'loadBalancing', 'hash'];
    findings.push(...atMostOne(hash, ['header', 'cookie', 'address'], path));
    if (policy !== 'RingHash' && policy !== 'Maglev')
      findings.push({
        code: 'ERR_FIELD_CONFLICT',
        path,
        part: 'key',
        message: `${policy} hashes nothing`,
        hint: 'Use policy RingHash or Maglev, or leave hash out.',
      });
  }
  if (spec.proxyProtocol !== undefined && spec.protocol !== 'tcp')
    findings.push({
      code: 'ERR_FIELD_CONFLICT',
      path: ['spec', 'proxyProtocol'],
      part: 'key',
      message: `connections to a service of protocol ${spec.protocol} are shared by many callers`,
      hint: 'Use protocol tcp, or leave proxyProtocol out: X-Forwarded-For says who calls.',
    });
  if (spec.tls) findings.push(...atMostOne(spec.tls, ['ca', 'caFile'], ['spec', 'tls']));
  return findings;
};
