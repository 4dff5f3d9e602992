/** The particles over the frame, and the picture that is drawn from them. */

import { decode, newest } from "./api.js";
import { AHEAD, Stage, arrow, circle, colour, dot, path, stroke, words } from "./draw.js";

const RADIUS = 0.3; // of the patch's side
const FAINT = 0.25; // opacity of a particle that is not in use

export class View {
  /**
   * @param {import("./scene.js").Scene} scene
   * @param {{live: number, tell: (problem: Error) => void}} options
   */
  constructor(scene, { live, tell }) {
    this.scene = scene;
    this.live = live;
    this.options = { rings: true, names: true, unused: false };
    this.frame = new Stage(document.getElementById("frame"));
    this.picture = new Stage(document.getElementById("picture"));
    this.box = null; // [from, to] in frame pixels, while one is drawn
    this.under = null; // the particle under the pointer
    this.frame.paint = (context) => this.paint(context, this.frame);
    this.picture.paint = (context) => this.paintQuietly(context, this.picture);
    this.redraw = newest(async ({ particles, place }) => {
      try {
        this.picture.show(await decode(particles, place));
      } catch (problem) {
        tell(problem);
      }
    });
    scene.addEventListener("change", () => this.follow());
    scene.addEventListener("select", () => this.ask());
  }

  async follow() {
    this.ask();
    this.picture.element.setAttribute("aria-busy", "true");
    const { particles, place } = this.scene;
    await this.redraw({ particles, place });
    this.picture.element.setAttribute("aria-busy", "false");
  }

  ask() {
    this.frame.ask();
    this.picture.ask();
  }

  /** Those that can be seen and taken hold of. */
  get shown() {
    const { scene, options, live } = this;
    return scene.particles.filter(
      (p) => options.unused || p.transparency > live || p.from === null || scene.edit.changes[p.id],
    );
  }

  /** The particle nearest to a place, if it is within reach. */
  at(place, stage, reach) {
    let best = null;
    let nearest = Infinity;
    for (const particle of this.shown) {
      const [x, y] = particle.position;
      const away = Math.hypot(x - place[0], y - place[1]);
      const far = Math.max(RADIUS * particle.side, reach / stage.factor);
      if (away < far && away < nearest) [best, nearest] = [particle, away];
    }
    return best;
  }

  inBox() {
    const [[x0, y0], [x1, y1]] = this.box;
    const between = (value, a, b) => Math.min(a, b) <= value && value <= Math.max(a, b);
    return this.shown
      .filter(({ position: [x, y] }) => between(x, x0, x1) && between(y, y0, y1))
      .map(({ id }) => id);
  }

  paint(context, stage) {
    const { scene, options } = this;
    const chosen = new Set(scene.selected);
    for (const particle of this.shown) {
      const at = stage.toScreen(particle.position);
      const hue = colour(particle.id);
      const opacity = particle.transparency > this.live
        ? 0.4 + 0.6 * particle.transparency
        : FAINT;
      const radius = radiusOf(particle, stage);
      this.paintFrom(context, stage, particle, at, hue);
      if (options.rings) paintRing(context, stage, particle, at);
      if (chosen.has(particle.id)) {
        context.beginPath();
        context.arc(...at, radius + 5, 0, 2 * Math.PI);
        context.setLineDash([5, 5]);
        stroke(context, "#fff", 2);
        context.setLineDash([]);
      }
      dot(context, at, radius, hue, chosen.has(particle.id) ? 0.25 : 0.08);
      circle(context, at, radius, hue, particle.id === this.under ? 3.5 : 2, opacity);
      paintArrows(context, stage, particle, at, hue);
    }
    if (options.names) this.paintNames(context, stage);
    this.paintBox(context, stage);
  }

  /** Over all the rings, so that none hides another's. */
  paintNames(context, stage) {
    for (const particle of this.shown) {
      const [x, y] = stage.toScreen(particle.position);
      const away = 0.75 * radiusOf(particle, stage);
      const right = stage.toScreen([stage.pixels.width - 0.5, 0])[0] - 8 * `${particle.id}`.length - 4;
      words(context, `${particle.id}`, [Math.min(x + away + 3, right), Math.max(y - away - 1, 14)]);
    }
  }

  /** A dotted line from where a moved particle was found. */
  paintFrom(context, stage, particle, at, hue) {
    if (!particle.from) return;
    const from = stage.toScreen(particle.from);
    if (Math.hypot(from[0] - at[0], from[1] - at[1]) < 2) return;
    context.setLineDash([2, 6]);
    path(context, [from, at]);
    stroke(context, hue, 2, 0.8);
    context.setLineDash([]);
    dot(context, from, 3, hue, 0.8);
  }

  /** On the picture only what is taken hold of is marked: the rest is to be seen. */
  paintQuietly(context, stage) {
    const chosen = new Set([...this.scene.selected, this.under]);
    for (const particle of this.shown.filter(({ id }) => chosen.has(id))) {
      const at = stage.toScreen(particle.position);
      circle(context, at, radiusOf(particle, stage) + 5, colour(particle.id), 1.5, 0.9);
    }
    this.paintBox(context, stage);
  }

  paintBox(context, stage) {
    if (!this.box) return;
    const [[x0, y0], [x1, y1]] = this.box.map((corner) => stage.toScreen(corner));
    context.fillStyle = "rgb(255 255 255 / 0.12)";
    context.fillRect(x0, y0, x1 - x0, y1 - y0);
    context.beginPath();
    context.rect(x0, y0, x1 - x0, y1 - y0);
    stroke(context, "#fff", 1);
  }
}

const radiusOf = ({ side }, stage) => Math.max(6, RADIUS * side * stage.factor);

/** Two standard deviations of the position. */
function paintRing(context, stage, { deviation: [x, y] }, at) {
  if (!x || !y) return;
  const reach = (sigma) => Math.max(1, 2 * sigma * stage.factor);
  context.beginPath();
  context.ellipse(...at, reach(x), reach(y), 0, 0, 2 * Math.PI);
  stroke(context, "#fff", 1, 0.8);
}

/** How it moves, thin and white; with its push, in its colour. */
function paintArrows(context, stage, { position, velocity, push }, at, hue) {
  const ahead = (v) => stage.toScreen(position.map((x, axis) => x + AHEAD * v[axis]));
  arrow(context, at, ahead(velocity), "#fff", 1);
  const total = velocity.map((v, axis) => v + push[axis]);
  if (push.some(Boolean)) arrow(context, at, ahead(total), hue, 3);
}
