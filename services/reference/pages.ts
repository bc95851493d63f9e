// The reference as Markdown, and the schema for editors. Pure: file name to text.
import { capabilities } from '#adapters/dataplane-node/capabilities.ts';
import { engineFeatures, notCompiled } from '#engine/compile/checks/features.ts';
import { diagnosticCodes } from '#engine/model/diagnostic.ts';
import { type Feature, features } from '#engine/model/features.ts';
import { kinds, resourceSchemas } from '#engine/model/resource.ts';
import { editorSchema } from './editor-schema.ts';
import { type Field, fieldsOf } from './fields.ts';
import type { Shape } from './shape.ts';

/** Paths below `docs/`. */
export const pages = (): ReadonlyMap<string, string> =>
  new Map([
    ['reference/README.md', indexPage()],
    ...kinds.map((kind) => [pageOf(kind), kindPage(kind)] as const),
    ['reference/features.md', featuresPage()],
    ['reference/diagnostics.md', diagnosticsPage()],
    ['schema/weir.schema.json', `${JSON.stringify(editorSchema(), null, 2)}\n`],
  ]);

type Kind = (typeof kinds)[number];
const pageOf = (kind: Kind): string =>
  `reference/${kind.replaceAll(/(?<=.)[A-Z]/g, '-$&').toLowerCase()}.md`;
const shapeOf = (kind: Kind): Shape => resourceSchemas[kind] as Shape;

const generated = '<!-- Made from the schemas by `npm run docs`. -->';
const cell = (text: string): string => text.replaceAll('|', '\\|');
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows]
    .map((row) => `| ${row.map(cell).join(' | ')} |`)
    .join('\n');

const page = (title: string, ...parts: readonly string[]): string =>
  `${[`# ${title}`, generated, ...parts].join('\n\n')}\n`;

const indexPage = (): string =>
  page(
    'Reference',
    'Policies are documents of these kinds. A file may hold several, separated by `---`; JSON will do as well. Fields that do not exist are refused, and every mistake is reported at once, with its line.',
    table(
      ['Kind', 'Says'],
      kinds.map((kind) => [
        `[${kind}](${pageOf(kind).replace('reference/', '')})`,
        shapeOf(kind).description ?? '',
      ]),
    ),
    '[Features](features.md) lists what a data plane may be asked for and who enforces it; [diagnostics](diagnostics.md) are what the compiler says.',
    '## Every document',
    fieldTable(
      fieldsOf(shapeOf('Gateway')).filter(
        ({ path }) => !path.startsWith('spec') && path !== 'kind',
      ),
    ),
    '## Types',
    table(
      ['Type', 'Means'],
      [
        ['duration', 'A number with a unit, or several: `300ms`, `15s`, `1m30s`, `24h`, `7d`.'],
        ['name', 'Lower-case letters, digits, `-` and `.`; a letter or digit at both ends.'],
        [
          'host',
          'A host name in lower case, or with `*.` in front for the names below it, or `*`.',
        ],
        ['port', 'A whole number from 1 to 65535.'],
        ['labels', 'A map of text to text.'],
        ['header name', 'The name of an HTTP header, in any case.'],
        ['header value', 'Text without line ends.'],
      ],
    ),
    '## Editors',
    'A comment in the first line gives completion and checks in editors that know the YAML language server: `# yaml-language-server: $schema=<path to docs/schema/weir.schema.json>`.',
  );

const kindPage = (kind: Kind): string => {
  const shape = shapeOf(kind);
  return page(
    kind,
    shape.description ?? '',
    'Fields of `spec`; what is not **required** may be left out.',
    fieldTable(fieldsOf(shape.properties?.['spec'] ?? {})),
  );
};

const fieldTable = (fields: readonly Field[]): string =>
  table(
    ['Field', 'Type', 'Default', 'Meaning'],
    fields.map((field) => [
      `\`${field.path}\``,
      field.type,
      field.preset,
      [field.meaning, needsText(field)].filter((text) => text !== '').join(' '),
    ]),
  );

const needsText = ({ needs }: Field): string => {
  const links = needs.map(({ feature, value }) => {
    const link = `[${feature}](features.md)`;
    return value === '' ? link : `${link} for \`${value}\``;
  });
  return links.length === 0 ? '' : `Needs ${links.join(', ')}.`;
};

const featuresPage = (): string =>
  page(
    'Features',
    'What a policy may ask for, beyond its mere presence. A policy that asks for something which the data plane of its scope cannot enforce is refused with `ERR_POLICY_NOT_SUPPORTED`; it is never ignored.',
    table(
      ['Feature', 'Enforced by', 'Asked for by'],
      features.map((feature) => [feature, enforcerOf(feature), askedBy(feature).join(', ')]),
    ),
  );

const enforcerOf = (feature: Feature): string => {
  if (engineFeatures.has(feature) || feature === 'jwks-remote') return 'control';
  if (notCompiled.has(feature)) return 'nothing yet';
  return capabilities.has(feature) ? "Weir's own proxy" : 'nothing yet';
};

const askedBy = (feature: Feature): readonly string[] =>
  kinds.flatMap((kind) => {
    const spec = shapeOf(kind).properties?.['spec'] ?? {};
    if (spec.needs === feature) return [kind];
    const fields = fieldsOf(spec).filter(({ needs }) =>
      needs.some((one) => one.feature === feature),
    );
    return fields.map(({ path }) => `${kind} \`${path}\``);
  });

const diagnosticsPage = (): string =>
  page(
    'Diagnostics',
    'A code that starts with `ERR` keeps the resource out; its last good version, if there is one, stays in force, and all other resources apply. One that starts with `WARN` keeps nothing out.',
    table(
      ['Code', 'Means'],
      Object.entries(diagnosticCodes).map(([code, meaning]) => [`\`${code}\``, meaning]),
    ),
  );
