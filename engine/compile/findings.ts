// Collects what the compiler has to say, and which resources cannot be used because of it.
import type { Diagnostic, DiagnosticCode } from '../model/diagnostic.ts';
import type { Kind, Resource, ResourceId } from '../model/resource.ts';
import type { Part } from './documents/parse-document.ts';
import { formatPath, type Path } from './documents/path.ts';
import type { Document } from './read-documents.ts';

/** A resource that has passed its schema, with the document it was written in. */
export interface AnyDraft {
  readonly id: ResourceId;
  readonly kind: Kind;
  readonly document: Document;
  readonly resource: Resource;
}

export interface Draft<K extends Kind> extends AnyDraft {
  readonly kind: K;
  readonly resource: Extract<Resource, { kind: K }>;
}

export interface Finding {
  readonly code: DiagnosticCode;
  readonly path: Path;
  readonly part?: Part;
  readonly message: string;
  readonly hint: string;
}

export class Findings {
  readonly #diagnostics: Diagnostic[] = [];
  readonly #quarantined = new Set<ResourceId>();

  /** A code that starts with ERR quarantines the resource. */
  add(draft: Pick<AnyDraft, 'id' | 'document'>, finding: Finding): void {
    const { code, path, part, message, hint } = finding;
    const isError = code.startsWith('ERR_');
    this.#diagnostics.push({
      code,
      severity: isError ? 'error' : 'warning',
      message,
      hint,
      location: draft.document.locate(path, part),
      resource: draft.id,
      path: formatPath(path),
    });
    if (isError) this.#quarantined.add(draft.id);
  }

  quarantine(id: ResourceId, diagnostics: readonly Diagnostic[]): void {
    this.#quarantined.add(id);
    this.#diagnostics.push(...diagnostics.map((one) => ({ ...one, resource: one.resource ?? id })));
  }

  /** About no document: decisions, workloads. */
  warn(diagnostic: Omit<Diagnostic, 'severity' | 'location'>): void {
    this.#diagnostics.push({ ...diagnostic, severity: 'warning' });
  }

  /** So that one mistake is not told twice. */
  hasErrorAt(id: ResourceId, path: Path): boolean {
    const text = formatPath(path);
    return this.#diagnostics.some(
      (one) => one.resource === id && one.severity === 'error' && one.path === text,
    );
  }

  isGood(id: ResourceId): boolean {
    return !this.#quarantined.has(id);
  }

  get quarantined(): readonly ResourceId[] {
    return [...this.#quarantined].sort();
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics.toSorted(compareDiagnostics);
  }
}

const nowhere = { file: '', line: 0, column: 0 };

/** By place, then by what they say. */
const compareDiagnostics = (a: Diagnostic, b: Diagnostic): number => {
  const at = a.location ?? nowhere;
  const other = b.location ?? nowhere;
  return (
    compareText(at.file, other.file) ||
    at.line - other.line ||
    at.column - other.column ||
    compareText(a.code, b.code) ||
    compareText(a.message, b.message)
  );
};

/** By code units: the same everywhere, whatever the locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
