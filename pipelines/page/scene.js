/** The scene of this tab: what was found, what was done to it, and what is selected. */

import { NOTHING, applied, isNothing, restored, withCopy, withSettings, without } from "./edit.js";

const STEPS = 100; // that can be undone
const FRESH = Object.freeze({ past: [], now: { edit: NOTHING, what: "" }, future: [] });

/** Tells "change" (the scene is another), "select", and "settle" (a gesture has ended). */
export class Scene extends EventTarget {
  /** @param {string} of names the server's run and data: another's edits are not taken up. */
  constructor(of) {
    super();
    this.of = of;
    this.found = [];
    this.place = null; // {clip, frame, name}
    this.selected = [];
    this.gesture = null;
    this.histories = {};
    this.size = [1, 1];
    this.particles = [];
  }

  /** The place that this tab was at before it was loaded anew, or null. */
  recall() {
    const kept = JSON.parse(sessionStorage.getItem("particlecast") ?? "null");
    if (kept?.of !== this.of) return null;
    this.histories = kept.histories;
    return kept.place;
  }

  remember() {
    const { of, place, histories } = this;
    try {
      sessionStorage.setItem("particlecast", JSON.stringify({ of, place, histories }));
    } catch {
      this.histories = { [this.key]: { ...FRESH, now: this.history.now } }; // it is full
    }
  }

  get key() {
    return `${this.place.clip}@${this.place.frame}`;
  }

  get history() {
    return (this.place && this.histories[this.key]) ?? FRESH;
  }

  get edit() {
    return this.history.now.edit;
  }

  get touched() {
    return !isNothing(this.edit);
  }

  /** Go to a frame; what was done to it before is still done. */
  show(place, found) {
    this.place = place;
    this.found = found;
    this.settle();
    this.select([]);
    this.refresh();
  }

  refresh() {
    this.particles = applied(this.found, this.edit);
    this.remember();
    const there = this.selected.filter((id) => this.get(id));
    if (there.length < this.selected.length) this.select(there);
    this.dispatchEvent(new Event("change"));
  }

  get(id) {
    return this.particles.find((particle) => particle.id === id);
  }

  get chosen() {
    return this.selected.map((id) => this.get(id)).filter(Boolean);
  }

  select(ids) {
    this.selected = [...new Set(ids)];
    this.dispatchEvent(new Event("select"));
  }

  toggle(id) {
    const others = this.selected.filter((other) => other !== id);
    this.select(others.length < this.selected.length ? others : [...others, id]);
  }

  /**
   * Replace the edit.
   * @param {string} what was done, in a word or two.
   * @param {string} gesture steps of the same gesture are undone together, until it settles.
   */
  change(edit, what, gesture = null) {
    const { past, now } = this.history;
    const goesOn = gesture !== null && gesture === this.gesture;
    const before = goesOn ? past : [...past, now].slice(-STEPS);
    this.gesture = gesture;
    this.histories[this.key] = { past: before, now: { edit, what }, future: [] };
    this.refresh();
  }

  /** A gesture has ended: what comes next is undone by itself. */
  settle() {
    if (this.gesture === null) return;
    this.gesture = null;
    this.dispatchEvent(new Event("settle"));
  }

  /** Change each selected particle by what `settings` says of it. */
  set(settings, what, gesture = null) {
    const edit = this.chosen.reduce(
      (before, particle) => withSettings(before, particle.id, settings(particle)),
      this.edit,
    );
    this.change(edit, what, gesture);
  }

  /** Keep a place inside the frame. */
  inside([x, y]) {
    const [height, width] = this.size;
    const clamp = (value, side) => Math.min(side - 0.5, Math.max(-0.5, value));
    return [clamp(x, width), clamp(y, height)];
  }

  move(by, gesture) {
    const to = ({ position: [x, y] }) => ({ position: this.inside([x + by[0], y + by[1]]) });
    this.set(to, "move", gesture);
  }

  remove() {
    if (this.selected.length) this.change(without(this.edit, this.selected), "delete");
  }

  /** A copy of each, a little beside it, which is then selected. */
  duplicate() {
    if (!this.selected.length) return;
    let edit = this.edit;
    const ids = this.chosen.map((particle) => {
      const [x, y] = particle.position;
      const away = particle.side / 3;
      const made = withCopy(edit, particle, this.inside([x + away, y + away]));
      edit = made.edit;
      return made.id;
    });
    this.change(edit, "duplicate");
    this.select(ids);
  }

  add(like, position) {
    const made = withCopy(this.edit, like, this.inside(position));
    this.change(made.edit, "add");
    this.select([made.id]);
  }

  restore() {
    this.change(this.selected.reduce(restored, this.edit), "restore");
  }

  reset() {
    if (this.touched) this.change(NOTHING, "reset");
  }

  get canUndo() {
    return this.history.past.length > 0;
  }

  get canRedo() {
    return this.history.future.length > 0;
  }

  /** @returns {string} what was undone. */
  undo() {
    if (!this.canUndo) return "";
    const { past, now, future } = this.history;
    this.histories[this.key] = { past: past.slice(0, -1), now: past.at(-1), future: [now, ...future] };
    this.settle();
    this.refresh();
    return now.what;
  }

  /** @returns {string} what was done again. */
  redo() {
    if (!this.canRedo) return "";
    const { past, now, future } = this.history;
    this.histories[this.key] = { past: [...past, now], now: future[0], future: future.slice(1) };
    this.settle();
    this.refresh();
    return future[0].what;
  }
}
