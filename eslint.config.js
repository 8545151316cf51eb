import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// Imports point one way: cli -> index -> cache -> the two interfaces; verbs and monitor never import cache.
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
    ['src/verbs/**', 'src/monitor/**'],
    ['**/cache/*', '**/index.js'],
    'verbs and monitor never import the cache',
  ),
  never(
    ['src/cache/**'],
    ['**/verbs/*', '**/index.js', 'koffi'],
    'the cache knows two interfaces and no library',
  ),
  never(
    ['src/memory/**', 'src/system/**'],
    ['**/cache/*', '**/verbs/*', '**/monitor/*', '**/index.js'],
    'system and memory are the foundation: they import nothing above them',
  ),
);
