/** Drawing on canvases: pixels as they are, and signs over them. */

export const AHEAD = 5; // frames: an arrow ends where the particle would be then
const state = { palette: [[255, 255, 255]] };

export function usePalette(palette) {
  state.palette = palette;
}

/** The colour of an identity, the same as in the films. */
export function colour(identity, opacity = 1) {
  const { palette } = state;
  const [red, green, blue] = palette[((identity % palette.length) + palette.length) % palette.length];
  return `rgb(${red} ${green} ${blue} / ${opacity})`;
}

/** Two canvases, one over the other: pixels of the model's size, and signs of the screen's. */
export class Stage {
  constructor(element) {
    this.element = element;
    this.pixels = element.querySelector(".pixels");
    this.overlay = element.querySelector(".overlay");
    this.context = this.overlay.getContext("2d");
    this.factor = 1; // screen pixels a frame's pixel
    this.paint = () => {};
    this.asked = false;
    new ResizeObserver(() => this.resize()).observe(element);
  }

  setSize([height, width]) {
    this.pixels.width = width;
    this.pixels.height = height;
    this.element.style.aspectRatio = `${width} / ${height}`;
    this.resize();
  }

  resize() {
    const { width, height } = this.element.getBoundingClientRect();
    const ratio = window.devicePixelRatio;
    this.overlay.width = Math.round(width * ratio);
    this.overlay.height = Math.round(height * ratio);
    this.factor = width / this.pixels.width;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.ask();
  }

  /** Draw an image, or the part of a sheet that begins at `at`. */
  show(image, at = [0, 0]) {
    const { width, height } = this.pixels;
    const context = this.pixels.getContext("2d");
    context.drawImage(image, ...at, width, height, 0, 0, width, height);
  }

  /** Paint before the next picture on the screen. */
  ask() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      const { width, height } = this.element.getBoundingClientRect();
      this.context.clearRect(0, 0, width, height);
      this.paint(this.context);
    });
  }

  /** Where a place in the frame is on the overlay; a pixel's centre has whole coordinates. */
  toScreen([x, y]) {
    return [(x + 0.5) * this.factor, (y + 0.5) * this.factor];
  }

  fromScreen([x, y]) {
    return [x / this.factor - 0.5, y / this.factor - 0.5];
  }
}

/** A line that can be seen on any ground: dark under its colour. */
export function stroke(context, style, width = 2, opacity = 1) {
  context.lineCap = context.lineJoin = "round";
  context.globalAlpha = opacity * 0.55;
  context.strokeStyle = "#000";
  context.lineWidth = width + 2;
  context.stroke();
  context.globalAlpha = opacity;
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
  context.globalAlpha = 1;
}

export function circle(context, [x, y], radius, style, width = 2, opacity = 1) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  stroke(context, style, width, opacity);
}

export function dot(context, [x, y], radius, style, opacity = 1) {
  context.globalAlpha = opacity;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = style;
  context.fill();
  context.globalAlpha = 1;
}

export function arrow(context, from, to, style, width = 2) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (length < 3) return;
  const head = Math.min(10, 0.5 * length);
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  for (const side of [-0.45, 0.45]) {
    context.moveTo(...to);
    context.lineTo(to[0] - head * Math.cos(angle + side), to[1] - head * Math.sin(angle + side));
  }
  stroke(context, style, width);
}

/** A line through places; where one is null it is broken. */
export function path(context, points) {
  context.beginPath();
  let drawing = false;
  for (const point of points) {
    if (point) context[drawing ? "lineTo" : "moveTo"](...point);
    drawing = Boolean(point);
  }
}

export function words(context, text, [x, y]) {
  context.font = "600 12px system-ui, sans-serif";
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.strokeStyle = "rgb(0 0 0 / 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = "#fff";
  context.fillText(text, x, y);
}
