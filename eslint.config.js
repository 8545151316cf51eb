import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Imports point one way: cli -> index -> endpoint -> (cache -> the two interfaces, cm -> verbs); verbs, cm and monitor
// never import cache, and nothing below it the endpoint.
const never = (files, groups, message) => ({
  files,
  rules: { 'no-restricted-imports': ['error', { patterns: [{ group: groups, message }] }] },
});

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
  never(
    ['src/verbs/**', 'src/monitor/**', 'src/cm/**'],
    ['**/cache/*', '**/endpoint/*', '**/index.js'],
    'verbs, cm and monitor never import the cache',
  ),
  never(['src/endpoint/**'], ['**/index.js', 'koffi'], 'the endpoint calls libraries through verbs and cm'),
  never(
    ['src/cache/**'],
    ['**/verbs/*', '**/cm/*', '**/endpoint/*', '**/index.js', 'koffi'],
    'the cache knows two interfaces and no library',
  ),
  never(
    ['src/memory/**', 'src/system/**'],
    ['**/cache/*', '**/verbs/*', '**/cm/*', '**/endpoint/*', '**/monitor/*', '**/index.js'],
    'system and memory are the foundation: they import nothing above them',
  ),
);
