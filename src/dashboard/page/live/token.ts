/**
 * Token: what authorises this page. It comes after the `#` of the printed address and is stored for
 * this tab only. It is removed from the address at once: no history or screenshot has it.
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
