/**
 * Token: the secret by which the server recognises this page. It comes after the `#` of the printed
 * address and is stored for this tab only. It is removed from the address at once, so that no
 * history or screenshot has it.
 *
 * Called by: Connection.
 */

const KEY = 'upcall.token';

/** Returns the token: that of the address, which it removes there, or else the stored one. */
export function takeToken(): string {
  const token = location.hash.slice(1);
  if (token !== '') {
    sessionStorage.setItem(KEY, token);
    history.replaceState(null, '', location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY) ?? '';
}
