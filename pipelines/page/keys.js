/** What the keyboard does. */

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 5; // pixels, with Shift
const NUDGE = 0.2; // pixels a frame, of a push
const typed = (target) => target.matches("input:not([type=checkbox], [type=radio]), select, dialog *");

/** The key's letter, also with CapsLock; where a layout has other letters, that of its place. */
function letter({ key = "", code = "" }) {
  const low = key.toLowerCase();
  return /^\p{L}$/u.test(low) && !/^[a-z]$/.test(low) ? code.replace(/^Key/, "").toLowerCase() : low;
}

/**
 * @param {import("./scene.js").Scene} scene
 * @param {HTMLElement[]} places where arrows and Delete are for the selected particles.
 * @param {Object<string, () => void>} acts undo, redo, copy, paste, all, roll, play.
 */
export function listenToKeys(scene, places, acts) {
  const withControl = {
    z: (shift) => (shift ? acts.redo() : acts.undo()), y: acts.redo, d: () => scene.duplicate(),
    c: acts.copy, v: acts.paste, a: acts.all,
  };
  const plain = { r: acts.roll, " ": acts.play };

  const arrow = (event) => {
    const far = event.shiftKey ? FAR : 1;
    const by = ARROWS[event.key].map((step) => step * far);
    if (event.altKey) {
      const more = ({ push }) => ({ push: push.map((v, axis) => v + NUDGE * by[axis]) });
      scene.set(more, "push", "push by keys");
    } else {
      scene.move(by, "move by keys");
    }
  };

  const onScene = (event) => {
    if (event.key in ARROWS && scene.selected.length) arrow(event);
    else if (event.key === "Delete" || event.key === "Backspace") scene.remove();
    else if (event.key === "Escape") scene.select([]);
    else return false;
    return true;
  };

  document.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    const inScene = event.target === document.body || places.some((p) => p.contains(event.target));
    const onButton = event.key === " " && event.target.matches("button, a, summary, input");
    const key = letter(event);
    if (typed(event.target) && event.target.type !== "range") return;
    if (document.querySelector("dialog[open]")) return;
    if (inScene && onScene(event)) event.preventDefault();
    else if (control && key in withControl) {
      // Words that are marked on the page are copied as anywhere.
      if (key === "c" && String(getSelection())) return;
      event.preventDefault();
      withControl[key](event.shiftKey);
    } else if (!control && !event.altKey && key in plain && !onButton) {
      event.preventDefault();
      plain[key]();
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key in ARROWS || event.key === "Alt") scene.settle();
  });
}
