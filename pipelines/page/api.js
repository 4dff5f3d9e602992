/** What the server answers, as values; what it refuses, as one line. */

export class Refused extends Error {}
/** There was no answer at all. */
export class Lost extends Refused {}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Lost("The server does not answer: is particlecast still running?");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  throw new Refused(said?.error ?? `The server says ${answer.status} ${answer.statusText}.`);
}

const json = async (path, options) => (await request(path, options)).json();

const post = (path, value) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(value),
  });

export async function picture(path) {
  return createImageBitmap(await (await request(path)).blob());
}

export const about = () => json("/api/about");

const place = (clip, frame) => `clip=${encodeURIComponent(clip)}&frame=${frame}`;

/** The source's frame, and the particles that were found in it. */
export async function scene(clip, frame) {
  const [image, found] = await Promise.all([
    picture(`/api/frame?${place(clip, frame)}`),
    json(`/api/scene?${place(clip, frame)}`),
  ]);
  return { image, particles: found.particles };
}

/** The picture that the model draws of exactly these particles, in the surroundings of a frame. */
export async function decode(particles, { clip, frame }) {
  const drawn = particles.map(({ id, position, appearance, transparency, scale, depth }) => ({
    id, position, appearance, transparency, scale, depth,
  }));
  return createImageBitmap(await (await post("/api/decode", { particles: drawn, clip, frame })).blob());
}

export const upload = (file) =>
  json("/api/upload", {
    method: "POST",
    headers: {
      "Content-Type": "application/octet-stream",
      "X-Name": encodeURIComponent(file.name),
    },
    body: file,
  });

export const rollOut = async (asked) => (await post("/api/rollouts", asked)).json();
export const rollout = (id) => json(`/api/rollouts/${id}`);
export const cancel = (id) => request(`/api/rollouts/${id}`, { method: "DELETE", keepalive: true });

/** @returns {Promise<{blob: Blob, name: string}>} a file, and what the server calls it. */
export async function fetchFile(path) {
  const answer = await request(path);
  const [, name] = answer.headers.get("Content-Disposition").match(/filename="(.*)"/);
  return { blob: await answer.blob(), name };
}

export const fileOf = (id, format) => `/api/rollouts/${id}/file?format=${format}`;

/**
 * One piece of work at a time, and the newest value wins: what came in between is passed over.
 * @param {(value: any) => Promise<void>} work catches its own errors.
 * @returns {(value: any) => Promise<void>} is done when nothing is left to do.
 */
export function newest(work) {
  let next = null;
  let done = null;
  const run = async () => {
    while (next) {
      const { value } = next;
      next = null;
      await work(value);
    }
    done = null;
  };
  return (value) => {
    next = { value };
    done ??= run();
    return done;
  };
}
