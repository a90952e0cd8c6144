/** Style sheets are imported for Vite to bundle; they give nothing. */

declare module '*.css';
