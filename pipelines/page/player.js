/** Two futures in step: frames, tracks, graph, fan, and how far apart they are. */

import { Stage, circle, colour, dot, path, stroke } from "./draw.js";

const TAIL = 12; // steps of a track that are bright
const find = (id) => document.getElementById(id);
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class Player {
  /** @param {boolean} attention whether the graph's edges have weights. */
  constructor(attention) {
    this.stages = [new Stage(find("original")), new Stage(find("changed"))];
    this.result = null;
    this.step = 0;
    this.playing = false;
    this.frame = 0; // of the browser, that is asked for
    find("play").addEventListener("click", () => this.toggle());
    find("scrub").addEventListener("input", ({ target }) => {
      this.pause();
      this.go(target.valueAsNumber - 1);
    });
    for (const id of ["show-tracks", "show-edges", "show-fan"]) {
      find(id).addEventListener("change", () => this.ask());
    }
    find("legend").textContent = attention
      ? "Graph: the bolder an edge, the more attention is paid along it."
      : "Graph: who is told of whom; all edges count alike.";
    find("show-edges").addEventListener("change", ({ target }) => {
      find("legend").hidden = !target.checked;
    });
    this.stages.forEach((stage, which) => {
      stage.paint = (context) => this.result && this.paint(context, stage, which);
    });
    new ResizeObserver(() => this.chart()).observe(find("apart"));
  }

  /**
   * @param {object} result of the server.
   * @param {ImageBitmap[]} sheets all frames of each future, in a grid.
   * @param {Set<number>} touched whose past the edit has changed too: theirs is not drawn.
   */
  open(result, sheets, touched) {
    this.result = result;
    this.sheets = sheets;
    this.touched = [new Set(), touched];
    this.futures = [result.original, result.changed];
    for (const stage of this.stages) stage.setSize(result.size);
    find("scrub").max = result.horizon;
    find("fan-field").hidden = !result.samples.length;
    this.apart = distances(this.futures);
    this.go(0);
    if (!calm.matches) this.play();
  }

  go(step) {
    this.step = step;
    const [height, width] = this.result.size;
    this.stages.forEach((stage, which) => {
      const { columns } = this.futures[which];
      const at = [(step % columns) * width, Math.floor(step / columns) * height];
      stage.show(this.sheets[which], at);
    });
    find("scrub").value = step + 1;
    const seconds = ((step + 1) / this.result.fps).toFixed(1);
    find("scrub-label").textContent = `step ${step + 1} of ${this.result.horizon} · ${seconds} s`;
    this.ask();
  }

  ask() {
    for (const stage of this.stages) stage.ask();
    this.chart();
  }

  toggle() {
    if (this.playing) this.pause();
    else if (this.result) this.play();
  }

  play() {
    if (this.step === this.result.horizon - 1) this.go(0);
    if (this.playing) return;
    this.playing = true;
    find("play").textContent = "Pause";
    let before = null;
    let owed = 0; // steps
    const tick = (now) => {
      owed += ((now - (before ?? now)) / 1000) * this.result.fps * Number(find("speed").value);
      before = now;
      const steps = Math.floor(owed);
      owed -= steps;
      if (steps) this.advance(steps);
      if (this.playing) this.frame = requestAnimationFrame(tick);
    };
    this.frame = requestAnimationFrame(tick);
  }

  advance(steps) {
    const { horizon } = this.result;
    const next = this.step + steps;
    if (next < horizon) this.go(next);
    else if (find("loop").checked) this.go(next % horizon);
    else {
      this.go(horizon - 1);
      this.pause();
    }
  }

  pause() {
    this.playing = false;
    cancelAnimationFrame(this.frame);
    find("play").textContent = "Play";
  }

  paint(context, stage, which) {
    const future = this.futures[which];
    const { step, result } = this;
    if (which === 1 && find("show-fan").checked) this.paintFan(context, stage, future);
    if (find("show-edges").checked) paintEdges(context, stage, future, step);
    future.positions[step].forEach((place, row) => {
      const identity = future.ids[step][row];
      if (!place || identity < 0) return;
      const hue = colour(identity);
      if (find("show-tracks").checked) {
        const steps = future.positions.slice(0, step + 1);
        const same = steps.map((all, t) => future.ids[t][row] === identity && all[row]);
        const known = identity === row && !this.touched[which].has(row);
        const track = [...result.past.map((all) => known && all[row]), ...same]
          .map((at) => at && stage.toScreen(at));
        path(context, track);
        stroke(context, hue, 1.5, 0.35);
        path(context, track.slice(-TAIL));
        stroke(context, hue, 2, 0.9);
      }
      circle(context, stage.toScreen(place), 5, hue, 2);
    });
  }

  /** Where each sampled future goes: faint as a whole, with a dot at the step that is shown. */
  paintFan(context, stage, { ids }) {
    const { samples, sample_ids: known } = this.result;
    const opacity = Math.min(0.5, Math.max(0.2, 2 / samples.length));
    const paintTrack = (track, hue) => {
      path(context, track);
      context.strokeStyle = hue;
      context.globalAlpha = opacity;
      context.lineWidth = 1.5;
      context.stroke();
      if (track[this.step]) dot(context, track[this.step], 2.5, hue, 0.6);
    };
    samples.forEach((future, number) => {
      const who = future.map((_, t) => known?.[number][t] ?? ids[0]);
      future[0].forEach((_, row) => {
        // A row may hold another particle from one step to the next: each has a track of its own.
        for (const identity of new Set(who.map((all) => all[row]))) {
          const at = (all, t) => who[t][row] === identity && all[row] && stage.toScreen(all[row]);
          paintTrack(future.map(at), colour(identity));
        }
      });
    });
    context.globalAlpha = 1;
  }

  /** The distance of each particle from itself in the other future, step by step. */
  chart() {
    const canvas = find("apart");
    if (!this.result || !canvas.clientWidth) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = window.devicePixelRatio;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    const most = Math.max(1, ...[...this.apart.values()].flat().filter(Number.isFinite));
    const ink = getComputedStyle(canvas).color;
    const x = (t) => 4 + (t / Math.max(1, this.result.horizon - 1)) * (width - 8);
    const y = (away) => height - 4 - (away / most) * (height - 22);
    context.fillStyle = context.strokeStyle = ink;
    context.font = "12px system-ui, sans-serif";
    context.fillText(`${most.toFixed(1)} px`, 4, 12);
    context.globalAlpha = 0.35;
    context.fillRect(x(this.step) - 0.5, 0, 1, height);
    context.fillRect(0, height - 4, width, 1);
    context.globalAlpha = 1;
    context.lineWidth = 2;
    for (const [identity, line] of this.apart) {
      path(context, line.map((away, t) => (away === null ? null : [x(t), y(away)])));
      context.strokeStyle = colour(identity);
      context.stroke();
    }
    canvas.setAttribute("aria-label", `Up to ${most.toFixed(1)} pixels between the two futures`);
  }
}

function paintEdges(context, stage, { edges, positions }, step) {
  for (const [from, to, weight] of edges[step]) {
    const [a, b] = [positions[step][from], positions[step][to]];
    if (!a || !b) continue;
    path(context, [stage.toScreen(a), stage.toScreen(b)]);
    const share = weight ?? 0.3;
    context.strokeStyle = `rgb(255 255 255 / ${0.15 + 0.75 * Math.min(1, share)})`;
    context.lineWidth = 0.75 + 3 * Math.min(1, share);
    context.stroke();
  }
}

/** identity to its distance at each step, null where it is not in both futures. */
function distances([original, changed]) {
  const place = (future, t, identity) => {
    const row = future.ids[t].indexOf(identity);
    return row < 0 ? null : future.positions[t][row];
  };
  const identities = original.ids[0].filter((id) => id >= 0 && changed.ids[0].includes(id));
  const line = (identity) => original.ids.map((_, t) => {
    const [a, b] = [place(original, t, identity), place(changed, t, identity)];
    return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : null;
  });
  return new Map(identities.map((identity) => [identity, line(identity)]));
}
