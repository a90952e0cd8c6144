/**
 * The token that lets this page in. It comes behind the `#` of the printed address, is kept for this tab only, and goes
 * out of the address at once, so that it is in no history and no screenshot.
 */

const KEY = 'upcall.token';

export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token !== '') {
    sessionStorage.setItem(KEY, token);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? '';
}
