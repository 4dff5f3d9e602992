/** What a tab ("sessionStorage") or the browser ("localStorage") keeps, as JSON. */

/** Where a browser blocks what sites store, even asking for the place throws. */
function open(store) {
  try {
    return window[store];
  } catch {
    return null;
  }
}

/** @returns what was kept under that name, or null. */
export function kept(store, name) {
  try {
    return JSON.parse(open(store)?.getItem(name) ?? null);
  } catch {
    return null; // not ours
  }
}

/** @returns {boolean} false when it is full; where it is blocked there is nothing to make room in. */
export function keep(store, name, value) {
  try {
    open(store)?.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
