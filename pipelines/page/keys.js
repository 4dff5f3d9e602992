/** What the keyboard does. */

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const FAR = 5; // pixels, with Shift
const NUDGE = 0.2; // pixels a frame, of a push
const typed = (target) => target.matches("input:not([type=checkbox], [type=radio]), select, dialog *");

/**
 * @param {import("./scene.js").Scene} scene
 * @param {HTMLElement[]} places where arrows and Delete are for the selected particles.
 * @param {Object<string, () => void>} acts undo, redo, copy, paste, all, roll, play.
 */
export function listenToKeys(scene, places, acts) {
  const withControl = {
    z: acts.undo, Z: acts.redo, y: acts.redo, d: () => scene.duplicate(),
    c: acts.copy, v: acts.paste, a: acts.all,
  };
  const plain = { r: acts.roll, R: acts.roll, " ": acts.play };

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
    if (typed(event.target) && event.target.type !== "range") return;
    if (inScene && onScene(event)) event.preventDefault();
    else if (control && event.key in withControl) {
      // Words that are marked on the page are copied as anywhere.
      if (event.key === "c" && String(getSelection())) return;
      event.preventDefault();
      withControl[event.key]();
    } else if (!control && !event.altKey && event.key in plain && !onButton) {
      event.preventDefault();
      plain[event.key]();
    }
  });
  document.addEventListener("keyup", (event) => {
    if (event.key in ARROWS || event.key === "Alt") scene.settle();
  });
}
