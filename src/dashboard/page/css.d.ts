/** Lets TypeScript accept the imports of style sheets, which Vite bundles. They have no exports. */

declare module '*.css';
