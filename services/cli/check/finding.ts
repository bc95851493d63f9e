// One thing that `weir check` looked at.
export interface Finding {
  readonly name: string;
  /** skipped: it could not be looked at, because of another finding. */
  readonly state: 'ok' | 'warning' | 'wrong' | 'skipped';
  readonly detail: string;
  /** What to do about it. */
  readonly hint?: string;
}

export const ok = (name: string, detail: string): Finding => ({ name, state: 'ok', detail });
export const wrong = (name: string, detail: string, hint: string): Finding => ({
  name,
  state: 'wrong',
  detail,
  hint,
});
export const warning = (name: string, detail: string, hint: string): Finding => ({
  name,
  state: 'warning',
  detail,
  hint,
});
export const skipped = (name: string, detail: string): Finding => ({
  name,
  state: 'skipped',
  detail,
});
