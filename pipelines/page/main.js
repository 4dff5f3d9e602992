/** The page: take hold of a particle, move it, and watch another future. */

import { Refused, about as fetchAbout } from "./api.js";
import { describe, showChips } from "./chips.js";
import { usePalette } from "./draw.js";
import { toFile } from "./edit.js";
import { Futures } from "./futures.js";
import { Gestures } from "./gestures.js";
import { listenToKeys } from "./keys.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { Scene } from "./scene.js";
import { Source } from "./source.js";
import { keep, kept, save } from "./storage.js";
import { View } from "./view.js";

const find = (id) => document.getElementById(id);
const SHORT = 6000; // ms that a problem stays to be read

/** Words for everyone: seen under the picture, and read aloud. */
function say(words) {
  find("status").textContent = words;
}

let closing = 0;
function tell(problem) {
  if (!(problem instanceof Refused)) console.error(problem); // the page's own mistake
  find("alert").textContent = problem.message;
  clearTimeout(closing);
  closing = setTimeout(() => (find("alert").textContent = ""), SHORT);
}

function chooseTheme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = (theme) => {
    root.dataset.theme = theme;
    find("theme").textContent = theme === "dark" ? "Light" : "Dark";
  };
  set(kept("localStorage", "theme") ?? (dark.matches ? "dark" : "light"));
  find("theme").addEventListener("click", () => {
    set(root.dataset.theme === "dark" ? "light" : "dark");
    keep("localStorage", "theme", root.dataset.theme);
  });
}

function saveEdit(scene, source) {
  if (!scene.place) return;
  const words = JSON.stringify(toFile(scene.edit, source.clip), null, 1);
  save(new Blob([words], { type: "application/json" }), "edit.json");
}

/** A new one looks and moves like the selected one, or else its nearest. */
function adder(scene) {
  return (position) => {
    const away = ({ position: [x, y] }) => Math.hypot(x - position[0], y - position[1]);
    const live = scene.particles.filter(({ transparency }) => transparency > scene.live);
    const like = scene.chosen.at(-1) ?? live.toSorted((a, b) => away(a) - away(b))[0];
    if (like) scene.add(like, position);
    else tell(new Refused("There is no particle whose looks a new one could have."));
  };
}

function follow(scene) {
  const update = () => {
    find("undo").disabled = !scene.canUndo;
    find("redo").disabled = !scene.canRedo;
    find("reset").disabled = !scene.touched;
  };
  for (const name of ["change", "shorten"]) scene.addEventListener(name, update);
  const tellChosen = () => {
    const { chosen } = scene;
    if (chosen.length === 1) say(describe(chosen[0]));
    else say(chosen.length ? `${chosen.length} particles selected` : "");
  };
  scene.addEventListener("select", tellChosen);
  scene.addEventListener("settle", tellChosen);
}

async function start() {
  chooseTheme();
  const about = await fetchAbout();
  usePalette(about.palette);
  const [height, width] = about.size;
  find("about").textContent = `${about.source} · ${about.k} particles · ${width}×${height}`;

  const scene = new Scene({ about, say, tell });
  const view = new View(scene, { live: about.live, tell });
  for (const stage of [view.frame, view.picture]) stage.setSize(about.size);
  const add = adder(scene);
  const gestures = new Gestures(scene, view, add);
  const panel = new Panel(scene, about, say);
  const source = new Source(scene, view, { about, say, tell });
  const player = new Player(about.attention);
  const futures = new Futures(scene, source, player, { about, say, tell });
  const updateChips = showChips(scene, view);
  follow(scene);

  const said = (done, what) => what && say(`${done}: ${what}`);
  const undo = () => said("Undone", scene.undo());
  const redo = () => said("Done again", scene.redo());
  find("undo").addEventListener("click", undo);
  find("redo").addEventListener("click", redo);
  find("reset").addEventListener("click", () => scene.reset());
  find("save-edit").addEventListener("click", () => saveEdit(scene, source));
  find("help-open").addEventListener("click", () => find("help").showModal());
  for (const radio of document.querySelectorAll("[name=tool]")) {
    radio.addEventListener("change", () => {
      gestures.tool = radio.value;
      find("frame").dataset.tool = find("picture").dataset.tool = radio.value;
    });
  }
  for (const option of ["rings", "names", "unused"]) {
    find(`show-${option}`).addEventListener("change", ({ target }) => {
      view.options[option] = target.checked;
      view.ask();
      updateChips();
    });
  }
  listenToKeys(scene, [find("frame"), find("chips")], {
    undo, redo,
    copy: () => panel.copy(),
    paste: () => panel.paste(),
    all: () => scene.select(view.shown.map(({ id }) => id)),
    roll: () => futures.start(),
    play: () => player.toggle(),
  });
  await source.open();
  document.body.dataset.ready = "";
}

start().catch((problem) => {
  tell(problem);
  clearTimeout(closing); // there is no page without it
});
