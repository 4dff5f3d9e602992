/** The scene of this tab: what was found, what was done to it, and what is selected. */

import { Refused } from "./api.js";
import { NOTHING, applied, isNothing, restored, withCopy, withSettings, without } from "./edit.js";
import { keep, kept } from "./storage.js";

const STEPS = 100; // that can be undone
const FRESH = Object.freeze({ past: [], now: { edit: NOTHING, what: "" }, future: [] });

/** All that can be undone with its older half left out, or null when only what is now is left. */
function shorter(histories) {
  const all = Object.entries(histories);
  const half = ({ past }) => past.slice(Math.ceil(past.length / 2));
  if (all.some(([, { past }]) => past.length)) {
    return Object.fromEntries(all.map(([key, one]) => [key, { ...one, past: half(one) }]));
  }
  if (!all.some(([, { future }]) => future.length)) return null;
  return Object.fromEntries(all.map(([key, { now }]) => [key, { ...FRESH, now }]));
}

/**
 * Tells "change" (the scene is another), "select", "settle" (a gesture has ended), and "shorten"
 * (less can be undone).
 */
export class Scene extends EventTarget {
  /**
   * @param {{about: object, say: (words: string) => void, tell: (problem: Error) => void}} options
   */
  constructor({ about, say, tell }) {
    super();
    // Another server's edits are not taken up.
    this.of = JSON.stringify([about.run, about.source, about.edit]);
    Object.assign(this, { size: about.size, live: about.live, most: about.limits.particles, say, tell });
    this.found = [];
    this.place = null; // {clip, frame, name}
    this.selected = [];
    this.gesture = null;
    this.histories = {};
    this.particles = [];
    this.remembering = false; // it is about to
    this.full = false; // and that was said
    addEventListener("pagehide", () => this.remember());
  }

  /** The place that this tab was at before it was loaded anew, or null. */
  recall() {
    const before = kept("sessionStorage", "particlecast");
    if (before?.of !== this.of) return null;
    this.histories = before.histories;
    return before.place;
  }

  /** After what is going on has been said, so that these words are the last; never within a gesture. */
  rememberSoon() {
    if (this.remembering || this.gesture !== null) return;
    this.remembering = true;
    queueMicrotask(() => {
      this.remembering = false;
      this.remember();
    });
  }

  /** Keep all for when the tab is loaded anew; when that is too much, less can be undone. */
  remember() {
    if (!this.place) return;
    const { of, place } = this;
    const fits = (histories) => keep("sessionStorage", "particlecast", { of, place, histories });
    let { histories } = this;
    while (histories && !fits(histories)) histories = shorter(histories);
    if (!histories) {
      if (!this.full) this.say("This tab's storage is full: save the edit, a reload may lose it.");
    } else if (histories !== this.histories) {
      this.histories = histories;
      this.say("This tab's storage is full: the oldest steps cannot be undone any more.");
      this.dispatchEvent(new Event("shorten"));
    }
    this.full = !histories;
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
    this.rememberSoon();
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
    this.rememberSoon();
  }

  /** Change each selected particle by what `settings` says of it, if it says anything. */
  set(settings, what, gesture = null) {
    const said = this.chosen.map((particle) => [particle.id, settings(particle)]).filter(([, to]) => to);
    if (!said.length) return;
    this.change(said.reduce((edit, [id, to]) => withSettings(edit, id, to), this.edit), what, gesture);
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
    this.grow(edit, "duplicate", ids);
  }

  add(like, position) {
    const made = withCopy(this.edit, like, this.inside(position));
    this.grow(made.edit, "add", [made.id]);
  }

  /** @throws {Refused} when the edit adds more than the server draws; who was deleted counts too. */
  checkRoom(edit) {
    if (this.found.length + edit.added.length <= this.most) return;
    throw new Refused(`A scene has room for ${this.most} particles: delete some that were added.`);
  }

  /** Replace the edit by one that adds, if there is room, and select the new ones. */
  grow(edit, what, ids) {
    try {
      this.checkRoom(edit);
    } catch (problem) {
      this.tell(problem);
      return;
    }
    this.change(edit, what);
    this.select(ids);
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
