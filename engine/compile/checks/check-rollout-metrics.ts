// What can be said about a Rollout's metrics without asking anybody.
import { unknownVariables } from '../../model/metric-plan.ts';
import type { Rollout } from '../../model/resource.ts';
import type { Path } from '../documents/path.ts';
import type { Finding } from '../findings.ts';
import { duplicates, exactlyOne } from './conflicts.ts';

type Metric = NonNullable<Rollout['spec']['metrics']>[number];

const sources = ['prometheus', 'http', 'nats', 'response'] as const;
const bounds = ['min', 'max', 'minRatio', 'maxRatio'] as const;

export const checkMetrics = (metrics: readonly Metric[]): readonly Finding[] => [
  ...duplicates(
    metrics.map(({ name }) => name),
    'metrics',
    (index) => ['spec', 'metrics', index, 'name'],
  ),
  ...metrics.flatMap((metric, index) => checkMetric(metric, ['spec', 'metrics', index])),
];

const checkMetric = (metric: Metric, path: Path): readonly Finding[] => {
  const findings: Finding[] = [...exactlyOne(metric, sources, path)];
  if (bounds.every((bound) => metric[bound] === undefined))
    findings.push({
      code: 'ERR_FIELD_MISSING',
      path,
      message: 'no value of this metric would be bad',
      hint: `Set at least one of ${bounds.join(', ')}.`,
    });
  for (const [low, high] of [
    ['min', 'max'],
    ['minRatio', 'maxRatio'],
  ] as const)
    if ((metric[low] ?? Number.NEGATIVE_INFINITY) > (metric[high] ?? Number.POSITIVE_INFINITY))
      findings.push({
        code: 'ERR_FIELD_CONFLICT',
        path: [...path, high],
        message: `${high} is below ${low}`,
        hint: 'Swap them.',
      });
  return [...findings, ...checkTemplates(metric, path), ...checkResponse(metric, path)];
};

/** Fields without which an answer could not be delivered, or not be understood. */
const framing = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'upgrade',
  'grpc-status',
  'grpc-message',
  'set-cookie',
]);

const checkResponse = (metric: Metric, path: Path): readonly Finding[] => {
  const { response, min, max, minRatio, maxRatio } = metric;
  if (!response) return [];
  const at: Path = [...path, 'response'];
  const { header, trailer, from, to } = response;
  const findings: Finding[] = [...exactlyOne(response, ['header', 'trailer'], at)];
  const wrong = (field: Path, message: string, hint: string) =>
    findings.push({ code: 'ERR_FIELD_VALUE', path: field, message, hint });
  if (framing.has((header ?? trailer ?? '').toLowerCase()))
    wrong(
      [...at, header === undefined ? 'trailer' : 'header'],
      `${header ?? trailer} carries no metric`,
      'Let the service answer with a header of its own, as in x-order-value.',
    );
  if (from >= to) {
    wrong([...at, 'to'], 'to is not above from', 'Swap them.');
    return findings;
  }
  const isRatio = minRatio !== undefined || maxRatio !== undefined;
  if (isRatio && from < 0)
    wrong(
      [...at, 'from'],
      'a mean that may be negative has no ratio',
      'Use min and max, or measure something that is never below 0.',
    );
  for (const [bound, value] of Object.entries({ min, max }))
    if (value !== undefined && (value <= from || value >= to))
      wrong([...path, bound], `${bound} is not inside of the range ${from} to ${to}`, 'Widen it.');
  return findings;
};

const checkTemplates = ({ prometheus, http }: Metric, path: Path): readonly Finding[] =>
  [
    { at: ['prometheus', 'query'], text: prometheus?.query ?? '' },
    { at: ['http', 'url'], text: http?.url ?? '' },
  ].flatMap(({ at, text }) =>
    unknownVariables(text).map(
      (name): Finding => ({
        code: 'ERR_FIELD_VALUE',
        path: [...path, ...at],
        message: `{{${name}}} means nothing here`,
        hint: 'Write {{service}}, {{namespace}}, {{version}}, {{baseline}}, {{canary}} or {{interval}}.',
      }),
    ),
  );
