import tseslint from 'typescript-eslint';

/** Folders with code of the project. */
const FOLDERS = ['bench', 'examples', 'scripts', 'src'];
const COMMENT_COLUMNS = 100;
/** A comment behind code may use the line that Prettier leaves. */
const LINE_COLUMNS = 120;
/** Directives, JSDoc types and long URLs cannot be wrapped. */
const UNBREAKABLE =
  /eslint-|typeof import\(|@(?:type|param|returns?|typedef|property|import)\b.*[{}]|https?:\/\/\S{50,}/;

/** Limits the width of comments, which Prettier does not wrap. */
const commentWidth = {
  meta: {
    type: 'layout',
    messages: { wide: 'This comment line has {{columns}} columns, at most {{limit}} are allowed.' },
  },
  create(context) {
    const { lines } = context.sourceCode;
    const check = ({ loc }) => {
      const startsLine = lines[loc.start.line - 1].slice(0, loc.start.column).trim() === '';
      const limit = startsLine ? COMMENT_COLUMNS : LINE_COLUMNS;
      for (let line = loc.start.line; line <= loc.end.line; line++) {
        const text = lines[line - 1];
        if (text.length > limit && !UNBREAKABLE.test(text))
          context.report({
            loc: { start: { line, column: limit }, end: { line, column: text.length } },
            messageId: 'wide',
            data: { columns: String(text.length), limit: String(limit) },
          });
      }
    };
    return { Program: () => context.sourceCode.getAllComments().forEach(check) };
  },
};

export default tseslint.config(
  // The templates of `upcall new` are projects of their own, which its test checks.
  { ignores: ['dist*/**', 'node_modules/**', '.cache/**', 'templates/**'] },
  {
    files: FOLDERS.map((folder) => `${folder}/**/*.{ts,tsx,js,mjs}`),
    plugins: { upcall: { rules: { 'comment-width': commentWidth } } },
    rules: { 'upcall/comment-width': 'error' },
  },
  {
    // Type-aware rules: a floating promise in this code base is a vCPU that is never woken.
    files: ['**/*.{ts,tsx}'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    // node:test's `test` and `describe` return promises that the runner itself awaits.
    files: ['**/*.test.ts'],
    rules: { '@typescript-eslint/no-floating-promises': 'off' },
  },
);
