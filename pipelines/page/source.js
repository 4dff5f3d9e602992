/** Where the scene comes from: a video and a frame of the data, or a file of the user's. */

import { Refused, newest, scene as fetchScene, upload } from "./api.js";
import { fromFile } from "./edit.js";

const read = async (file) => {
  try {
    return JSON.parse(await file.text());
  } catch {
    throw new Refused(`${file.name} is not JSON.`);
  }
};

export class Source {
  /**
   * @param {import("./scene.js").Scene} scene
   * @param {import("./view.js").View} view
   * @param {{about: object, say: (words: string) => void, tell: (problem: Error) => void}} options
   */
  constructor(scene, view, { about, say, tell }) {
    Object.assign(this, { scene, view, about, say, tell });
    this.videos = about.videos.map(({ name, frames }, index) => ({ clip: `data:${index}`, name, frames }));
    this.video = document.getElementById("video");
    this.time = document.getElementById("time");
    this.list();
    this.load = newest((place) => this.fetch(place));
    this.video.addEventListener("change", () => this.go(this.videos[this.video.selectedIndex]));
    this.time.addEventListener("input", () => this.go(this.asked, this.time.valueAsNumber));
    this.listenForFiles();
  }

  list() {
    this.video.replaceChildren(...this.videos.map(({ name }) => new Option(name)));
    document.getElementById("video-field").hidden = this.videos.length < 2;
  }

  /** The video that is shown. */
  get shown() {
    return this.videos.find(({ clip }) => clip === this.scene.place?.clip) ?? this.videos[0];
  }

  /** The first frame that has a whole context. */
  firstOf({ frames }) {
    return Math.min(frames, this.about.context) - 1;
  }

  go(video, frame = this.firstOf(video)) {
    this.label(video, frame);
    const { clip, name, frames } = video;
    this.meant = { clip, frame, name, frames };
    return this.load(this.meant);
  }

  label(video, frame) {
    const { clip, frames } = video;
    this.asked = video; // it may still be on its way
    this.video.selectedIndex = this.videos.findIndex((one) => one.clip === clip);
    this.time.max = frames - 1;
    this.time.value = frame;
    this.time.disabled = frames < 2;
    document.getElementById("time-label").value = `${frame + 1} / ${frames}`;
  }

  async fetch(place) {
    try {
      const { image, particles } = await fetchScene(place.clip, place.frame);
      this.view.frame.show(image);
      this.scene.show(place, particles);
    } catch (problem) {
      this.tell(problem);
      if (this.meant === place && this.scene.place) this.label(this.shown, this.scene.place.frame);
    }
  }

  /** Where this tab was before it was loaded anew; else where the edit on the command line is. */
  async open() {
    const before = this.scene.recall();
    if (before) {
      const known = this.videos.find(({ clip }) => clip === before.clip);
      const video = known ?? before; // an upload, which the server may still have
      if (!known) this.take(video);
      await this.go(video, before.frame);
      if (this.scene.place) return;
      if (!known) this.forget(video);
    } else if (this.about.edit) {
      await this.replay(this.about.edit).catch(this.tell);
      if (this.scene.place) return;
    }
    await this.go(this.videos[0]);
  }

  take(video) {
    this.videos.push(video);
    this.list();
  }

  forget(video) {
    this.videos = this.videos.filter((other) => other !== video);
    this.list();
  }

  /** What a saved edit calls the clip that is shown. */
  get clip() {
    const { clip, frame, name } = this.scene.place;
    const [source, video] = clip.split(":");
    return source === "data" ? { source, video: +video, frame, name } : { source, frame, name };
  }

  /** @returns {boolean} whether its frame could be shown. */
  async replay(file) {
    const edit = fromFile(file, this.about.glimpse);
    const { source, video, frame, name } = file.clip;
    const there = source === "data"
      ? this.videos.find(({ clip }) => clip === `data:${video}`)
      : this.videos.find((known) => known.clip.startsWith("upload:") && known.name === name);
    if (!there || (name && there.name !== name)) {
      throw new Refused(`The edit is of ${name ?? `video ${video}`}: open that first.`);
    }
    await this.go(there, frame);
    if (this.scene.place?.clip !== there.clip || this.scene.place.frame !== frame) return false;
    this.scene.checkRoom(edit);
    this.scene.change(edit, "open edit");
    return true;
  }

  async openFile(file) {
    try {
      await file.slice(0, 1).arrayBuffer().catch(() => {
        throw new Refused(`${file.name} cannot be read: drop a file, not a folder.`);
      });
      if (file.name.toLowerCase().endsWith(".json")) {
        if (await this.replay(await read(file))) this.say(`${file.name} is replayed`);
        return;
      }
      const most = this.about.limits.upload_bytes;
      if (file.size > most) {
        throw new Refused(`${file.name} is larger than ${Math.floor(most / 2 ** 20)} MB: cut it first.`);
      }
      this.say(`Reading ${file.name}…`);
      const { clip, frames, name, note } = await upload(file);
      const video = { clip, frames, name: name ?? file.name };
      this.take(video);
      await this.go(video);
      this.say(note || `${video.name}: ${frames} ${frames === 1 ? "frame" : "frames"}`);
    } catch (problem) {
      this.say("");
      this.tell(problem);
    }
  }

  listenForFiles() {
    const input = document.getElementById("file");
    const shade = document.getElementById("drop");
    const open = ([file]) => file && this.openFile(file);
    document.getElementById("open").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      open(input.files);
      input.value = ""; // the same file may come again
    });
    const dragged = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!dragged(event)) return;
      event.preventDefault();
      shade.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) shade.hidden = true;
    });
    addEventListener("drop", (event) => {
      if (!dragged(event)) return;
      event.preventDefault();
      shade.hidden = true;
      open(event.dataTransfer.files);
    });
  }
}
