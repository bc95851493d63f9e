// Imports go one way: services -> adapters -> engine/ports -> engine/model. Every room and what it may open.
const only = (from, allowed, name) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^(engine|adapters|services|test|setup)/', pathNot: allowed },
});

const ALL_NPM = [
  'npm',
  'npm-dev',
  'npm-optional',
  'npm-peer',
  'npm-bundled',
  'npm-no-pkg',
  'npm-unknown',
];

module.exports = {
  forbidden: [
    only('^engine/model/', '^engine/model/', 'model-is-a-leaf'),
    only('^engine/ports/', '^engine/(ports|model)/', 'ports-know-the-model-only'),
    only(
      '^engine/(compile|agent|analysis|machines|quota|identity)/',
      '^engine/($1|ports|model)/',
      'stages-are-strangers',
    ),
    only(
      '^engine/pipeline/',
      '^engine/(pipeline/|filters/[^/]+\\.ts$|ports/|model/)',
      'pipeline-knows-the-filter-list',
    ),
    only(
      '^engine/filters/([^/]+)/',
      '^engine/(filters/$1/|filters/[^/]+\\.ts$|ports/|model/|pipeline/exchange\\.ts$)',
      'filters-are-strangers',
    ),
    only('^engine/filters/[^/]+\\.ts$', '^engine/(filters|ports|model|pipeline)/', 'filter-list'),
    only(
      '^adapters/(?!dataplane-)([^/]+)/',
      '^(adapters/$1|engine/(ports|model))/',
      'adapters-are-strangers',
    ),
    only(
      '^adapters/(dataplane-[^/]+)/',
      '^(adapters/$1|engine/(ports|model|pipeline|agent|filters))/',
      'data-planes-may-use-the-pipeline',
    ),
    only(
      '^services/(edge|sidecar)/',
      '^(services/($1|agent)|adapters|engine)/',
      'presets-use-the-agent',
    ),
    only(
      '^services/(?!edge/|sidecar/|dev/)([^/]+)/',
      '^(services/$1|adapters|engine)/',
      'services-are-strangers',
    ),
    {
      name: 'engine-uses-five-packages',
      severity: 'error',
      from: { path: '^engine/' },
      to: {
        dependencyTypes: ALL_NPM,
        pathNot: 'node_modules/(xstate|typebox|yaml|jose|@marcbachmann/cel-js)/',
      },
    },
    {
      name: 'engine-is-pure',
      severity: 'error',
      from: { path: '^engine/' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { path: '^(engine|adapters|services)/' },
      to: { path: '^test/' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js'],
    },
  },
};
