import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Imports point one way: cli -> index -> publish -> cache -> the two interfaces; verbs and monitor never import cache.
// Tests may import everything, benchmarks and examples the sources, and the sources nothing but sources.
const never = (files, groups, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: groups, message }] }] },
});

const NOT_SOURCES = ['**/bench/**', '**/test/**', '**/native/**', '**/examples/**'];
const PROGRAM_ITSELF = ['**/cli/**'];
/** What stands on the cache. */
const ABOVE_CACHE = ['**/publish/*', '**/metrics.js', '**/create-cache.js', '**/index.js', 'prom-client'];

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
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/monitor/*'],
    'verbs knows neither the cache nor a monitor',
  ),
  never(
    ['src/monitor/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/verbs/*'],
    'a monitor knows neither the cache nor libibverbs',
  ),
  never(
    ['src/cache/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/verbs/*', 'koffi'],
    'the cache knows two interfaces and no library',
  ),
  never(
    ['src/memory/**', 'src/system/**'],
    [...NOT_SOURCES, ...PROGRAM_ITSELF, ...ABOVE_CACHE, '**/cache/*', '**/verbs/*', '**/monitor/*'],
    'system and memory are the foundation: they import nothing above them',
  ),
  never(
    ['native/**'],
    ['**/bench/**', '**/test/**', '**/examples/**'],
    'native is used by benchmarks and tests, and uses none',
  ),
  never(['bench/**', 'examples/**'], ['**/test/**'], 'benchmarks and examples import no tests'),
);
