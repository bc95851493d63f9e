// One YAML or JSON document becomes a plain value plus the place of each of its nodes. Never throws.
import { Lexer, LineCounter, parseDocument as parseYaml, type YAMLError } from 'yaml';
import type { Source } from '../../model/commit.ts';
import type { Diagnostic, Location } from '../../model/diagnostic.ts';
import type { Path } from './path.ts';
import { limits, type Offsets, pathKey, type Refused, tooDeep, toValue } from './to-value.ts';

/** Where a diagnostic points: at a member's name, or at what it is set to. */
export type Part = 'key' | 'value';

export interface Parsed {
  readonly value: unknown;
  /** The nearest place known: that of the innermost enclosing node if the path itself is not there. */
  readonly locate: (path: Path, part?: Part) => Location;
  readonly diagnostics: readonly Diagnostic[];
}

export const parseDocument = (source: Source): Parsed => {
  const lines = new LineCounter();
  const locate = locator(source, lines, new Map());
  const refuse = (refused: Refused): Parsed => {
    const { code, message, hint, offset } = refused;
    const location = place(source, lines, offset);
    return {
      value: undefined,
      locate,
      diagnostics: [{ code, severity: 'error', message, hint, location }],
    };
  };
  if (source.text.length > limits.documentLength)
    return refuse(tooLong('document', source.text.length, limits.documentLength));
  try {
    if (hasTooManyTokens(source.text)) return refuse(tooManyTokens);
    const document = parseYaml(source.text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'silent',
      uniqueKeys: false, // its check is quadratic; toValue has its own
    });
    const error = document.errors[0] ?? document.warnings[0];
    if (error) return refuse(error.code === 'RESOURCE_EXHAUSTION' ? tooDeep(0) : syntax(error));
    if (!document.contents) return { value: null, locate, diagnostics: [] };
    const { value, offsets, refused } = toValue(document.contents);
    if (refused) return refuse(refused);
    return { value, locate: locator(source, lines, offsets), diagnostics: [] };
  } catch (error) {
    // The parser gives up by RangeError on nesting that fills the stack.
    if (error instanceof RangeError) return refuse(tooDeep(0));
    return refuse({
      code: 'ERR_YAML_SYNTAX',
      message: `not readable: ${error instanceof Error ? error.message : 'unknown reason'}`,
      hint: 'Write plain YAML 1.2 or JSON.',
      offset: 0,
    });
  }
};

export const tooLong = (what: 'file' | 'document', length: number, limit: number): Refused => ({
  code: 'ERR_YAML_TOO_LARGE',
  message: `the ${what} has ${length} characters, the limit is ${limit}`,
  hint: `Split the ${what} into smaller ones.`,
  offset: 0,
});

const tooManyTokens: Refused = {
  code: 'ERR_YAML_TOO_LARGE',
  message: `the document has more than ${limits.tokens} words and signs`,
  hint: 'Split the document into smaller ones.',
  offset: 0,
};

const hasTooManyTokens = (text: string): boolean => {
  if (text.length <= limits.tokens) return false;
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    tokens += 1;
    if (tokens > limits.tokens) return true;
  }
  return false;
};

const place = (source: Source, lines: LineCounter, offset: number): Location => {
  const { line, col } = lines.linePos(offset);
  return { file: source.file, line: source.line + Math.max(line, 1) - 1, column: Math.max(col, 1) };
};

const locator =
  (source: Source, lines: LineCounter, offsets: Offsets): Parsed['locate'] =>
  (path, part = 'value') => {
    for (let length = path.length; length >= 0; length -= 1) {
      const found = offsets.get(pathKey(path.slice(0, length)));
      if (!found) continue;
      return place(source, lines, length === path.length && part === 'value' ? found[1] : found[0]);
    }
    return place(source, lines, 0);
  };

const hints: Partial<Record<YAMLError['code'], string>> = {
  TAB_AS_INDENT: 'Indent with spaces.',
  BAD_INDENT: 'Line up the members of one mapping.',
  MISSING_CHAR: 'Close the quote or bracket, or put a space after the colon.',
  BLOCK_AS_IMPLICIT_KEY: 'Check the indentation, and quote a value that contains a colon.',
  TAG_RESOLVE_FAILED: 'Leave the tag out.',
};

const syntax = (error: YAMLError): Refused => ({
  code: 'ERR_YAML_SYNTAX',
  message: error.message.split('\n', 1)[0] ?? 'not valid YAML',
  hint: hints[error.code] ?? 'Check indentation, quotes and brackets at this place.',
  offset: error.pos[0],
});
