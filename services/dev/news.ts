// What to say about a reload: every error each time, a warning when it is new.
import { type Diagnostic, formatDiagnostic } from '#engine/model/diagnostic.ts';

export interface News {
  /** Lines to print, and what is known from now on. */
  readonly lines: readonly string[];
  readonly known: ReadonlySet<string>;
}

export const newsOf = (diagnostics: readonly Diagnostic[], known: ReadonlySet<string>): News => {
  const told = diagnostics.map((diagnostic) => ({
    line: formatDiagnostic(diagnostic),
    // The same one a line further down is no news.
    key: `${diagnostic.code} ${diagnostic.message}`,
    isError: diagnostic.severity === 'error',
  }));
  return {
    lines: told.filter(({ key, isError }) => isError || !known.has(key)).map(({ line }) => line),
    known: new Set(told.map(({ key }) => key)),
  };
};
