import { expect, it } from 'vitest';
import type { Diagnostic } from '#engine/model/diagnostic.ts';
import { newsOf } from '#services/dev/news.ts';

const found = (severity: Diagnostic['severity'], message: string, line = 1): Diagnostic => ({
  code: severity === 'error' ? 'ERR_FIELD_VALUE' : 'WARN_SERVICE_NO_ENDPOINTS',
  severity,
  message,
  hint: '',
  location: { file: 'a.yaml', line, column: 1 },
});

it('tells every error at each reload, and a warning only when it is new', () => {
  const first = newsOf([found('warning', 'old'), found('error', 'wrong')], new Set());
  expect(first.lines).toHaveLength(2);
  const second = newsOf(
    [found('warning', 'old', 7), found('warning', 'new'), found('error', 'wrong')],
    first.known,
  );
  expect(second.lines.map((line) => /old|new|wrong/.exec(line)?.[0])).toEqual(['new', 'wrong']);
  const third = newsOf([], second.known);
  expect(newsOf([found('warning', 'old')], third.known).lines).toHaveLength(1);
});
