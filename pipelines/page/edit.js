/**
 * What was done to a scene, as a value that is never changed in place:
 * {changes: {id: {position, push, appearance, transparency, scale, depth}}, removed: [id], added: [...]}.
 */

import { Refused } from "./api.js";

export const NOTHING = Object.freeze({ changes: {}, removed: [], added: [] });
const FIRST_ADDED = 1000;
const PLAIN = { velocity: [0, 0], transparency: 1, scale: 1, depth: 0 }; // of an added one
const SETTINGS = ["position", "push", "appearance", "transparency", "scale", "depth"];

export const isNothing = (edit) =>
  !edit.removed.length && !edit.added.length && !Object.keys(edit.changes).length;

/** The particles as they are after the edit, each with its push and where it was found. */
export function applied(found, edit) {
  const kept = found.filter(({ id }) => !edit.removed.includes(id));
  const changed = kept.map((particle) => {
    const change = edit.changes[particle.id] ?? {};
    const now = { ...particle, push: [0, 0], ...change, from: particle.position };
    return { ...now, side: (particle.side * now.scale) / particle.scale };
  });
  // An added particle has no past of its own: all its velocity is a push.
  const added = edit.added.map(({ velocity, side, ...particle }) => ({
    ...particle,
    side: side * particle.scale,
    velocity: [0, 0],
    push: velocity,
    deviation: [0, 0],
    from: null,
  }));
  return [...changed, ...added];
}

/** The edit with some settings of one particle replaced. */
export function withSettings(edit, id, settings) {
  if (!edit.added.some((particle) => particle.id === id)) {
    const changes = { ...edit.changes, [id]: { ...edit.changes[id], ...settings } };
    return { ...edit, changes };
  }
  const { push, ...others } = settings;
  const velocity = push ? { velocity: push } : {};
  return {
    ...edit,
    added: edit.added.map((p) => (p.id === id ? { ...p, ...others, ...velocity } : p)),
  };
}

export function without(edit, ids) {
  const gone = new Set(ids);
  return {
    changes: Object.fromEntries(Object.entries(edit.changes).filter(([id]) => !gone.has(+id))),
    added: edit.added.filter(({ id }) => !gone.has(id)),
    removed: [
      ...edit.removed,
      ...ids.filter((id) => !edit.added.some((p) => p.id === id) && !edit.removed.includes(id)),
    ],
  };
}

/** The edit with a copy of `particle` at `position`, and the copy's id. */
export function withCopy(edit, particle, position) {
  const id = Math.max(FIRST_ADDED - 1, ...edit.added.map((p) => p.id)) + 1;
  const { appearance, transparency, scale, depth, velocity, push } = particle;
  const copy = {
    id, position, appearance, transparency, scale, depth,
    velocity: velocity.map((v, axis) => v + push[axis]),
    side: particle.side / scale,
  };
  return { edit: { ...edit, added: [...edit.added, copy] }, id };
}

/** The edit without what was done to one particle; an added one stays as it is. */
export function restored(edit, id) {
  const { [id]: _, ...changes } = edit.changes;
  return { ...edit, changes };
}

/** The edit as the file that replays, and that the server reads. */
export function toFile(edit, clip) {
  return {
    format: "particlecast-edit",
    version: 1,
    clip,
    changes: Object.entries(edit.changes).map(([id, change]) => ({ id: +id, ...change })),
    removed: edit.removed,
    added: edit.added.map(({ side: _, ...particle }) => particle),
  };
}

const numbers = (value) => Array.isArray(value) && value.every(Number.isFinite);
const fits = (name, value) =>
  name === "appearance" ? numbers(value)
  : ["position", "push", "velocity"].includes(name) ? numbers(value) && value.length === 2
  : Number.isFinite(value);

/**
 * What `toFile` made, read again.
 * @param {number} glimpse side in pixels of a particle at scale 1.
 * @throws {Refused}.
 */
export function fromFile(file, glimpse) {
  const bad = (what) => new Refused(`This is not an edit that particlecast saved: ${what}.`);
  if (file?.format !== "particlecast-edit") throw bad("its format is another");
  if (file.version !== 1) throw bad(`its version is ${file.version}, not 1`);
  if (!Number.isInteger(file.clip?.frame)) throw bad("it names no frame");
  const list = (name) => {
    if (!Array.isArray(file[name] ?? [])) throw bad(`${name} is no list`);
    return file[name] ?? [];
  };
  const read = (entry, names) => {
    if (!Number.isInteger(entry?.id)) throw bad("a particle has no id");
    const held = names.filter((name) => (entry[name] ?? null) !== null);
    const wrong = held.find((name) => !fits(name, entry[name]));
    if (wrong) throw bad(`the ${wrong} of particle ${entry.id} is no number`);
    return Object.fromEntries(held.map((name) => [name, entry[name]]));
  };
  const changes = list("changes").map((entry) => [entry?.id, read(entry, SETTINGS)]);
  const removed = list("removed");
  if (!removed.every(Number.isInteger)) throw bad("removed holds something other than ids");
  const names = SETTINGS.map((name) => (name === "push" ? "velocity" : name));
  const added = list("added").map((entry) => ({
    id: entry?.id, ...PLAIN, ...read(entry, names), side: glimpse,
  }));
  if (!added.every((one) => one.position && one.appearance)) {
    throw bad("an added particle needs a position and an appearance");
  }
  return { changes: Object.fromEntries(changes), removed, added };
}
