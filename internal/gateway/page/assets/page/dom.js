// Elements. Texts are set as text alone: names of cameras come from twins, and may hold markup.

/**
 * h returns a new element. attributes: class, text, on (listeners by event), and any attribute;
 * true sets an empty one, false and null none. children are elements and texts.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, f] of Object.entries(value)) element.addEventListener(event, f);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** say sets a text if it is another one: screen readers repeat a live region otherwise. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** path returns a camera's name as a part of a URL's path. */
export const path = (name) => name.split("/").map(encodeURIComponent).join("/");

/** ago returns how long before now a time was, in words. */
export function ago(time, now = Date.now()) {
  const s = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (!Number.isFinite(s)) return "";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} days ago`;
}

/** clock returns a time as people read it, with the date if it is not today's. */
export function clock(time) {
  const t = new Date(time);
  const today = t.toDateString() === new Date().toDateString();
  return t.toLocaleString([], today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}

/** rate returns bits a second in words. */
export function rate(bits) {
  if (!bits) return "–";
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`;
}

/** copyButton returns a button that copies what text() returns, which may be a promise. */
export function copyButton(label, text) {
  const button = h("button", { type: "button", class: "small", text: label });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(await text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy it by hand";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
  return button;
}
