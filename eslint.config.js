import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Imports point one way: cli -> index -> (publish, endpoint) -> (cache -> the two interfaces, cm -> verbs); verbs, cm and
// monitor never import cache, and nothing below it the endpoint.
// Tests may import everything, benchmarks and examples the sources, and the sources nothing but sources.
const never = (files, groups, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: groups, message }] }] },
});

const NOT_SOURCES = ['**/bench/**', '**/test/**', '**/native/**', '**/examples/**'];
const PROGRAM_ITSELF = ['**/cli/**'];
/** What stands on the cache. */
const ABOVE_CACHE = [
  '**/publish/*',
  '**/endpoint/*',
  '**/metrics.js',
  '**/create-cache.js',
  '**/index.js',
  'prom-client',
];

export default defineConfig(
  { ignores: ['dist/', 'bench/results/', 'test/results/'] },
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    // mocha's describe/it callbacks use `this` for timeouts and skips.
    files: ['test/**/*.ts'],
    rules: { '@typescript-eslint/no-unused-expressions': 'off' },
  },
  // The last that fits a file counts: the rules for a folder repeat what holds for all around it.
  never(
    ['src/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF],
    'the sources import nothing but sources, and nothing the program',
  ),
  never(['src/cli/**'], [...NOT_SOURCES, 'prom-client'], 'the program imports nothing but sources'),
  never(
    ['src/publish/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, '**/verbs/*', '**/monitor/*', '**/index.js', 'koffi', 'prom-client'],
    'what is published is what the cache says',
  ),
  never(
    ['src/verbs/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/monitor/*', '**/cm/*'],
    'verbs knows neither the cache nor a monitor',
  ),
  never(
    ['src/cm/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/monitor/*'],
    'cm knows verbs, and neither the cache nor a monitor',
  ),
  never(
    ['src/monitor/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/verbs/*', '**/cm/*'],
    'a monitor knows neither the cache nor libibverbs',
  ),
  never(
    ['src/endpoint/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, '**/publish/*', '**/index.js', 'koffi', 'prom-client'],
    'the endpoint calls libraries through verbs and cm',
  ),
  never(
    ['src/cache/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/verbs/*', '**/cm/*', 'koffi'],
    'the cache knows two interfaces and no library',
  ),
  never(
    ['src/memory/**', 'src/system/**'],
    [
      ...NOT_SOURCES,
      ...PROGRAM_ITSELF,
      ...ABOVE_CACHE,
      '**/cache/*',
      '**/verbs/*',
      '**/cm/*',
      '**/monitor/*',
    ],
    'system and memory are the foundation: they import nothing above them',
  ),
  never(
    ['native/**'],
    ['**/bench/**', '**/test/**', '**/examples/**'],
    'native is used by benchmarks and tests, and uses none',
  ),
  never(['bench/**', 'examples/**'], ['**/test/**'], 'benchmarks and examples import no tests'),
);
