/** Mouse, pen and touch on the two pictures of the scene. */

import { AHEAD } from "./draw.js";

const REACH = { mouse: 12, pen: 16, touch: 24 }; // screen pixels around a particle's centre
const LONG = 500; // ms of a long press
const STILL = { mouse: 3, pen: 6, touch: 6 }; // screen pixels that a hand may tremble
const away = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

export class Gestures {
  /**
   * @param {import("./scene.js").Scene} scene
   * @param {import("./view.js").View} view
   * @param {(position: number[]) => void} add puts a new particle there.
   */
  constructor(scene, view, add) {
    Object.assign(this, { scene, view, add });
    this.tool = "move";
    this.drag = null;
    this.count = 0;
    this.before = [[], []]; // what was selected before each of the last two presses
    for (const stage of [view.frame, view.picture]) this.listen(stage);
  }

  listen(stage) {
    const { scene } = this;
    const { overlay } = stage;
    const on = (name, act) => overlay.addEventListener(name, (event) => act.call(this, event, stage));
    on("pointerdown", this.down);
    on("pointermove", this.go);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("lostpointercapture", this.up);
    on("pointerleave", () => this.hover(null, overlay));
    on("click", (event) => { // a finger on empty ground that did not scroll
      if (event.pointerType === "touch" && this.tool === "move" && !this.hit(event, stage)) scene.select([]);
    });
    on("dblclick", (event) => {
      if (this.hit(event, stage)) return;
      scene.select(this.before[0]); // its own presses have let go of it
      this.add(this.place(event, stage));
    });
    on("contextmenu", (event) => event.preventDefault()); // a long press selects
    // A finger on empty ground scrolls the page, one on a particle moves it.
    const hold = (event) => {
      const touch = event.touches[0];
      if (this.tool !== "move" || this.hit(touch, stage, "touch")) event.preventDefault();
    };
    overlay.addEventListener("touchstart", hold, { passive: false });
  }

  point(event, stage) {
    const { left, top } = stage.overlay.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  place(event, stage) {
    return stage.fromScreen(this.point(event, stage));
  }

  hit(event, stage, kind = event.pointerType ?? "mouse") {
    return this.view.at(this.place(event, stage), stage, REACH[kind] ?? REACH.mouse);
  }

  hover(particle, overlay) {
    overlay.dataset.over = particle ? "particle" : "";
    if (this.view.under === (particle?.id ?? null)) return;
    this.view.under = particle?.id ?? null;
    this.view.ask();
  }

  down(event, stage) {
    if (this.drag || !event.isPrimary || event.button !== 0) return; // a second finger
    const { scene } = this;
    document.activeElement?.blur(); // a number that was typed is the selected particle's, not the next one's
    this.before = [this.before[1], scene.selected];
    const particle = this.hit(event, stage);
    const place = this.place(event, stage);
    const several = event.shiftKey || event.ctrlKey || event.metaKey || this.tool === "select";
    if (this.tool === "add") return this.add(place);
    const kind = !particle ? "box" : event.altKey || this.tool === "push" ? "push" : "move";
    const start = this.point(event, stage);
    const drag = {
      kind, place, stage, start, before: scene.selected, name: `drag ${this.count++}`, pointer: event.pointerId,
    };
    if (particle) {
      if (several) scene.toggle(particle.id);
      else if (!scene.selected.includes(particle.id)) scene.select([particle.id]);
      drag.from = scene.chosen;
      drag.anchor = particle.position;
      drag.velocity = particle.velocity;
      if (event.pointerType === "touch" && !several) this.waitForLong(drag, particle);
    } else {
      if (event.pointerType === "touch" && this.tool === "move") return; // it scrolls
      if (!several) drag.before = [];
      scene.select(drag.before);
    }
    stage.overlay.setPointerCapture(event.pointerId);
    this.drag = drag;
  }

  /** A finger that stays on a particle adds it to what was selected before. */
  waitForLong(drag, particle) {
    drag.timer = setTimeout(() => {
      if (drag.moved) return;
      this.scene.select([...drag.before, particle.id]);
      drag.from = this.scene.chosen;
    }, LONG);
  }

  go(event, stage) {
    const { drag, scene, view } = this;
    if (!drag) return this.hover(this.hit(event, stage), stage.overlay);
    if (drag.stage !== stage || drag.pointer !== event.pointerId) return;
    const still = STILL[event.pointerType] ?? STILL.mouse;
    if (!drag.moved && away(drag.start, this.point(event, stage)) < still) return;
    drag.moved = true;
    const place = this.place(event, stage);
    const start = new Map(drag.from?.map(({ id, position }) => [id, position])); // not whom keys chose since
    if (drag.kind === "box") {
      view.box = [drag.place, place];
      scene.select([...drag.before, ...view.inBox()]);
    } else if (drag.kind === "push") {
      // The arrow's end is where the particle will be, its own motion included.
      const push = [0, 1].map((axis) => (place[axis] - drag.anchor[axis]) / AHEAD - drag.velocity[axis]);
      scene.set(({ id }) => start.has(id) && { push }, "push", drag.name);
    } else {
      const by = [0, 1].map((axis) => place[axis] - drag.place[axis]);
      const to = (at) => at && { position: scene.inside(at.map((x, axis) => x + by[axis])) };
      scene.set(({ id }) => to(start.get(id)), "move", drag.name);
    }
  }

  up(event) {
    if (this.drag?.pointer !== event.pointerId) return;
    clearTimeout(this.drag.timer);
    this.drag = null;
    this.view.box = null;
    this.view.ask();
    this.scene.settle();
  }
}
