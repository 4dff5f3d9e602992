/** One button a particle, for keys, screen readers and fingers: the stage's other face. */

import { colour } from "./draw.js";

const round = (value) => `${Math.round(10 * value) / 10}`;

/** A particle in words, for those who don't see it. */
export function describe({ id, position: [x, y], transparency, push }) {
  const pushed = push.some(Boolean) ? `, pushed by ${round(push[0])}, ${round(push[1])}` : "";
  return `Particle ${id} at ${round(x)}, ${round(y)}, ${Math.round(100 * transparency)} % there${pushed}`;
}

/**
 * @param {import("./scene.js").Scene} scene
 * @param {import("./view.js").View} view
 */
export function showChips(scene, view) {
  const list = document.getElementById("chips");
  const buttons = new Map();

  const make = (id) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chip";
    button.dataset.id = id;
    const spot = document.createElement("span");
    spot.style.background = colour(id);
    button.append(spot, `${id}`);
    button.addEventListener("click", (event) => {
      if (event.shiftKey || event.ctrlKey || event.metaKey) scene.toggle(id);
      else scene.select([id]);
    });
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      scene.select([id]);
      const field = document.getElementById("position-x");
      field.focus();
      field.select(); // as Tab does: what is typed takes the place of what stands there
    });
    button.addEventListener("focus", () => {
      if (button.matches(":focus-visible") && !scene.selected.includes(id)) scene.select([id]);
    });
    return button;
  };

  const update = () => {
    const shown = view.shown;
    const held = document.activeElement?.dataset?.id;
    for (const [id, button] of buttons) {
      if (!shown.some((particle) => particle.id === id)) {
        button.remove();
        buttons.delete(id);
      }
    }
    for (const particle of shown) {
      const { id } = particle;
      if (!buttons.has(id)) {
        buttons.set(id, make(id));
        list.append(buttons.get(id));
      }
      const button = buttons.get(id);
      button.setAttribute("aria-label", describe(particle));
      button.setAttribute("aria-pressed", `${scene.selected.includes(id)}`);
      button.classList.toggle("faint", particle.transparency <= view.live);
    }
    // When the focused one is deleted, focus goes on to the next instead of nowhere.
    if (held && !buttons.has(+held)) [...buttons.values()].at(0)?.focus();
  };
  scene.addEventListener("change", update);
  scene.addEventListener("select", update);
  return update;
}
