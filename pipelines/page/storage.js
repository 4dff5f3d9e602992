/** What a tab ("sessionStorage") or the browser ("localStorage") keeps, as JSON, and what is saved as a file. */

const LATER = 60_000; // ms

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

/** Save as a file, where the browser saves files. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), LATER); // some browsers read it only then
}
