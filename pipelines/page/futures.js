/** Ask for both futures, show how far they are, cancel, and hand the result to the player. */

import { Lost, Refused, cancel, fetchFile, fileOf, picture, rollOut, rollout } from "./api.js";
import { toFile } from "./edit.js";
import { save } from "./storage.js";

const EVERY = 250; // ms between questions
const TRIES = 10; // when the server does not answer
const KINDS = ["mp4", "gif", "npz"];
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const find = (id) => document.getElementById(id);

export class Futures {
  /**
   * @param {import("./scene.js").Scene} scene
   * @param {import("./source.js").Source} source
   * @param {import("./player.js").Player} player
   * @param {{about: object, say: (words: string) => void, tell: (problem: Error) => void}} options
   */
  constructor(scene, source, player, { about, say, tell }) {
    Object.assign(this, { scene, source, player, about, say, tell });
    this.running = null; // the id of what is being rolled out
    this.rolled = null; // {key, edit}: of which scene the shown futures are
    this.limit();
    find("roll").addEventListener("click", () => this.start());
    find("cancel").addEventListener("click", () => this.stop());
    for (const kind of KINDS) find(`save-${kind}`).addEventListener("click", (event) => this.save(event));
    addEventListener("pagehide", () => this.running && cancel(this.running));
    scene.addEventListener("change", () => this.compare());
  }

  /** Say so when the scene is not the one whose futures are shown. */
  compare() {
    const { rolled, scene } = this;
    find("stale").hidden = !rolled || (rolled.key === scene.key && rolled.edit === scene.edit);
  }

  limit() {
    const { forecasts, reason, limits, sampling } = this.about;
    find("horizon").max = limits.horizon;
    find("samples").max = limits.samples;
    find("samples-field").hidden = !sampling;
    if (!sampling) find("samples").value = 0;
    if (forecasts) return;
    for (const id of ["hint", "roll"]) find(id).hidden = true;
    for (const field of document.querySelectorAll("#ask .inline")) field.hidden = true;
    const words = find("no-forecasts");
    words.hidden = false;
    words.textContent = reason;
  }

  /** A whole number inside of its field's limits. */
  number(id) {
    const field = find(id);
    const value = Math.round(field.valueAsNumber) || 0;
    field.value = Math.min(Number(field.max), Math.max(Number(field.min), value));
    return field.valueAsNumber;
  }

  async start() {
    if (!this.about.forecasts || this.running || this.asking || !this.scene.place) return;
    this.asking = true;
    const { clip, frame } = this.scene.place;
    const { key, edit } = this.scene;
    const asked = {
      clip, frame, edit: toFile(edit, this.source.clip),
      horizon: this.number("horizon"), samples: this.number("samples"), seed: 0,
    };
    try {
      this.running = (await rollOut(asked)).id;
      this.show(0, 0);
      const result = await this.follow(this.running);
      if (!result) return;
      await this.open(this.running, result, edit);
      this.rolled = { key, edit };
      this.compare();
    } catch (problem) {
      this.tell(problem);
      if (this.running) cancel(this.running).catch(() => {}); // nobody will ask for it again
    } finally {
      this.running = null;
      this.asking = false;
      find("working").hidden = true;
      find("roll").hidden = false;
    }
  }

  /** Ask until it has ended. @returns the result, or null when it was cancelled. */
  async follow(id) {
    for (;;) {
      const { state, done, total, error, result } = await this.patiently(() => rollout(id));
      if (state === "failed") throw new Refused(error);
      if (state === "cancelled") return null;
      if (state === "done") return result;
      this.show(done, total);
      await wait(EVERY);
    }
  }

  /** A link may be gone for a while, as when a laptop sleeps: ask again before giving up. */
  async patiently(ask) {
    for (let left = TRIES; ; left -= 1) {
      try {
        return await ask();
      } catch (problem) {
        if (!(problem instanceof Lost) || !left) throw problem;
        await wait(4 * EVERY);
      }
    }
  }

  show(done, total) {
    find("working").hidden = false;
    find("roll").hidden = true;
    const progress = find("progress");
    if (total) progress.value = done / total;
    else progress.removeAttribute("value");
    find("progress-label").textContent = total ? `${done} / ${total}` : "";
  }

  async stop() {
    try {
      if (this.running) await cancel(this.running);
      this.say("Cancelled");
    } catch (problem) {
      this.tell(problem);
    }
  }

  /** A link that would fail without a word: the server may have forgotten the rollout. */
  async save(event) {
    event.preventDefault();
    const link = event.currentTarget;
    try {
      this.say(`Making the ${link.textContent}…`);
      const { blob, name } = await fetchFile(link.href);
      save(blob, name);
      this.say(`${name} is saved`);
    } catch (problem) {
      this.say("");
      this.tell(problem);
    }
  }

  async open(id, result, edit) {
    const sheets = await Promise.all(
      [result.original, result.changed].map(({ sprite }) => picture(sprite)),
    );
    for (const kind of KINDS) find(`save-${kind}`).href = fileOf(id, kind);
    find("hint").hidden = true;
    for (const part of document.querySelectorAll(".played")) part.hidden = false;
    this.player.open(result, sheets, new Set(Object.keys(edit.changes).map(Number)));
    this.say(`Both futures are here: ${result.horizon} steps`);
  }
}
