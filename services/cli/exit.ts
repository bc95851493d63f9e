// How the command ends: one number per kind of outcome, so that scripts can tell them apart.
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  rejected: 3,
  unreachable: 4,
  timedOut: 5,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesHelp = `Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  rejected by policy or diagnostics
  4  control is unreachable
  5  timed out waiting`;

/** An outcome to report in words, without a stack. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly code: string | undefined;

  constructor(
    exitCode: ExitCode,
    message: string,
    options: { readonly hint?: string | undefined; readonly code?: string } = {},
  ) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.hint = options.hint;
    this.code = options.code;
  }
}
