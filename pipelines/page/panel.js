/** The panel of what is selected: where it is, how it looks, its push. */

import { picture } from "./api.js";
import { colour } from "./draw.js";

const PLACES = { position: 1, push: 2 }; // decimals

/** Make an element: element("button", {type: "button"}, "words", child). */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export class Panel {
  /**
   * @param {import("./scene.js").Scene} scene
   * @param {object} about what the server says of the model.
   * @param {(words: string) => void} say
   */
  constructor(scene, about, say) {
    Object.assign(this, { scene, about, say, looks: null, gesture: 0 });
    this.root = document.getElementById("panel");
    this.controls = []; // each has read(chosen), and fits itself to what is selected
    this.build();
    scene.addEventListener("change", () => this.update());
    scene.addEventListener("select", () => this.update());
    this.update();
  }

  build() {
    this.title = this.root.querySelector("h2");
    this.empty = this.root.querySelector(".hint");
    this.body = element("div", { class: "controls" });
    this.root.append(this.body);
    this.buttons();
    for (const name of ["position", "push"]) this.pair(name);
    this.slider("Transparency", [0, 1], ([p]) => p.transparency, (value) => () => ({ transparency: value }));
    const { scale, depth } = this.about;
    if (scale) this.slider("Scale", scale, ([p]) => p.scale, (value) => () => ({ scale: value }));
    if (depth) this.slider("Depth", depth, ([p]) => p.depth, (value) => () => ({ depth: value }));
    this.directions();
  }

  buttons() {
    const { scene } = this;
    const button = (id, words, act) => {
      const made = element("button", { type: "button", id }, words);
      made.addEventListener("click", act);
      return made;
    };
    this.pasteButton = button("paste", "Paste looks", () => this.paste());
    this.restoreButton = button("restore", "As found", () => scene.restore());
    this.body.append(element("div", { class: "row" },
      button("copy", "Copy looks", () => this.copy()),
      this.pasteButton,
      button("duplicate", "Duplicate", () => scene.duplicate()),
      button("delete", "Delete", () => scene.remove()),
      this.restoreButton,
    ));
  }

  /** Two numbers: x and y. */
  pair(name) {
    const unit = name === "push" ? "Push, pixels a frame" : "Position, pixels";
    const fields = ["x", "y"].map((axis, index) => {
      const field = element("input", {
        type: "number", step: name === "push" ? 0.1 : 1, id: `${name}-${axis}`, "aria-label": `${unit}, ${axis}`,
      });
      field.addEventListener("change", () => {
        const value = field.valueAsNumber;
        if (!Number.isFinite(value)) return this.update();
        this.scene.set((particle) => {
          const to = particle[name].with(index, value);
          return { [name]: name === "position" ? this.scene.inside(to) : to };
        }, name === "push" ? "push" : "move");
        if (this.scene.chosen.length) fit(this.scene.chosen); // it may be another than was typed
      });
      const fit = ([first]) => (field.value = first[name][index].toFixed(PLACES[name]));
      this.controls.push((chosen) => {
        if (document.activeElement !== field || !field.matches(":focus-visible")) fit(chosen);
      });
      return field;
    });
    this.body.append(element("div", { class: "pair" }, element("span", {}, unit), ...fields));
  }

  /** A slider over the mean of what is selected. */
  slider(name, [low, high], read, write, strip = null) {
    const id = `set-${name.toLowerCase().replaceAll(" ", "-")}`;
    const input = element("input", { type: "range", id, min: low, max: high, step: (high - low) / 200 });
    const output = element("output", { class: "number", for: id });
    const what = name.toLowerCase();
    input.addEventListener("input", () => {
      this.scene.set(write(input.valueAsNumber), what, `${what} ${this.gesture}`);
    });
    input.addEventListener("change", () => {
      this.gesture += 1;
      this.scene.settle();
    });
    this.controls.push((chosen) => {
      const value = read(chosen);
      // What lies outside of the usual range is kept until it is moved.
      input.min = Math.min(low, value);
      input.max = Math.max(high, value);
      input.value = value;
      output.value = value.toFixed(2);
    });
    const label = element("label", { for: id }, name);
    const parts = strip ? [strip, input] : [input];
    const row = element("div", { class: "slider" }, label, output, ...parts);
    (this.more ?? this.body).append(row);
  }

  /** Along each direction appearance is its coefficient; what is across it stays. */
  directions() {
    const { directions } = this.about;
    if (!directions.length) return;
    this.body.append(element("h3", {}, "Appearance"));
    const strips = directions.map(() => element("canvas", { class: "strip", "aria-hidden": "true" }));
    const coefficient = ({ vector, mean: centre }, { appearance }) =>
      appearance.reduce((sum, a, i) => sum + (a - centre[i]) * vector[i], 0);
    directions.forEach((direction, index) => {
      if (index === 3) {
        this.more = element("details", {}, element("summary", {}, "Lesser directions"));
        this.body.append(this.more);
      }
      const read = (chosen) => mean(chosen.map((particle) => coefficient(direction, particle)));
      const write = (value) => {
        const by = value - read(this.scene.chosen);
        return ({ appearance }) => ({ appearance: appearance.map((a, i) => a + by * direction.vector[i]) });
      };
      const name = `Direction ${direction.name}`;
      this.slider(name, [direction.low, direction.high], read, write, strips[index]);
    });
    this.paintStrips(strips);
  }

  async paintStrips(strips) {
    const sheet = await picture("/api/directions").catch(() => null); // sliders do without
    if (!sheet) return;
    const height = sheet.height / strips.length;
    strips.forEach((strip, row) => {
      strip.width = sheet.width;
      strip.height = height;
      strip.getContext("2d").drawImage(sheet, 0, row * height, sheet.width, height, 0, 0, sheet.width, height);
    });
  }

  copy() {
    const last = this.scene.chosen.at(-1);
    if (!last) return;
    this.looks = last.appearance;
    this.update();
    this.say(`Looks of particle ${last.id} copied`);
  }

  paste() {
    if (!this.looks || !this.scene.chosen.length) return;
    const { looks } = this;
    this.scene.set(() => ({ appearance: looks }), "paste looks");
  }

  update() {
    const { chosen, edit } = this.scene;
    this.body.hidden = !chosen.length;
    this.empty.hidden = chosen.length > 0;
    const name = chosen.length === 1 ? `Particle ${chosen[0].id}` : `${chosen.length} particles`;
    this.title.textContent = chosen.length ? name : "Take hold of one";
    this.root.style.setProperty("--own", chosen.length === 1 ? colour(chosen[0].id) : "");
    this.pasteButton.disabled = !this.looks;
    this.restoreButton.disabled = !chosen.some(({ id }) => edit.changes[id]);
    if (chosen.length) for (const fit of this.controls) fit(chosen);
  }
}
