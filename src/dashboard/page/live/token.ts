/**
 * The token that lets this page in. It comes behind the `#` of the printed address, is kept for this tab only, and goes
 * out of the address at once, so that it is in no history and no screenshot.
 */

const KEY = 'upcall.token';

export function takeToken(): string {
  const match = /(?:^#|&)token=([^&]+)/.exec(location.hash) ?? /^#([\w-]+)$/.exec(location.hash);
  if (match?.[1] !== undefined) {
    sessionStorage.setItem(KEY, decodeURIComponent(match[1]));
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? '';
}
