// Takes out what only Weir itself may say to an upstream, before policy or anybody else can see a caller's copy.
import type { Pipeline } from '#engine/pipeline/exchange.ts';
import { Kind } from '../http1/field-names.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { type Refusal, type RequestHead, refusals } from '../http1/request-head.ts';

interface Answer {
  readonly hash: number;
  readonly name: string;
  readonly isProtected: boolean;
}

const SLOTS = 512;

export class HeaderProtection {
  private readonly pipeline: Pick<Pipeline, 'isProtectedHeader'>;
  /** The pipeline's answers about the names seen last; callers choose names, so the place is bounded. */
  private readonly answers: (Answer | undefined)[] = Array.from({ length: SLOTS });

  constructor(pipeline: Pick<Pipeline, 'isProtectedHeader'>) {
    this.pipeline = pipeline;
  }

  strip(head: RequestHead): Refusal | undefined {
    const { fields, nominated } = head;
    this.stripFields(fields);
    if (nominated?.some((name) => this.pipeline.isProtectedHeader(name)))
      return refusals.nomination;
    return undefined;
  }

  stripFields(fields: FieldSection): void {
    for (let i = 0; i < fields.count; i++)
      if (fields.kind(i) === Kind.Other && this.isProtected(fields, i)) fields.strike(i);
  }

  private isProtected(fields: FieldSection, index: number): boolean {
    const hash = fields.hash(index);
    const slot = hash & (SLOTS - 1);
    const known = this.answers[slot];
    if (known !== undefined && known.hash === hash && fields.isExactly(index, known.name))
      return known.isProtected;
    const name = fields.name(index);
    const isProtected = this.pipeline.isProtectedHeader(name);
    this.answers[slot] = { hash, name, isProtected };
    return isProtected;
  }
}
