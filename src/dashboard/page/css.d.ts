/** Style sheets are imported for Vite to bundle. They have no exports. */

declare module '*.css';
