// The wall: all cameras, those in view with live video.

import { h, say } from "./dom.js";
import { label } from "./fleet.js";
import { Tile } from "./tile.js";

const MAX_LIVE = 16; // tiles that play at once; browsers have few decoders

/** Wall is the view of all cameras. It ends by end. */
export class Wall {
  #fleet;
  #tiles = new Map();
  #visible = new Set();
  #list = h("div", { class: "groups" });
  #empty = h("p", { class: "empty", role: "status" });
  #search = h("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search cameras", autocomplete: "off" });
  #columns = h("select", { "aria-label": "Columns" }, ["auto", "1", "2", "3", "4"].map((n) => h("option", { value: n, text: n === "auto" ? "Auto grid" : `${n} columns` })));
  #live = h("button", { type: "button", class: "toggle" });
  #observer;
  #ending = new AbortController();
  #timer = 0;
  element;

  constructor(fleet) {
    this.#fleet = fleet;
    this.element = h("main", { class: "wall", id: "main" },
      h("h1", { class: "unseen", text: "Cameras" }),
      h("div", { class: "tools" }, this.#search, this.#columns, this.#live), this.#empty, this.#list);
    const { signal } = this.#ending;
    this.#observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "50px" });
    this.#columns.value = localStorage.getItem("columns") ?? "auto";
    this.#columns.addEventListener("change", () => { localStorage.setItem("columns", this.#columns.value); this.#layout(); });
    this.#search.addEventListener("input", () => this.#filter());
    this.#live.addEventListener("click", () => { localStorage.setItem("live", this.#playing ? "no" : "yes"); this.#choose(); });
    fleet.addEventListener("change", ({ detail }) => this.#changed(detail), { signal });
    document.addEventListener("visibilitychange", () => this.#choose(), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.#timer = setInterval(() => { for (const tile of this.#tiles.values()) tile.tick(); }, 1000);
    this.#changed([...fleet.cameras.keys()]);
    this.#layout();
    this.#choose();
  }

  end() {
    clearInterval(this.#timer);
    this.#ending.abort();
    this.#observer.disconnect();
    for (const tile of this.#tiles.values()) tile.end();
  }

  get #playing() {
    return localStorage.getItem("live") !== "no";
  }

  #layout() {
    this.#list.dataset.columns = this.#columns.value;
  }

  #changed(names) {
    for (const name of names) {
      const camera = this.#fleet.cameras.get(name), tile = this.#tiles.get(name);
      if (!camera) this.#remove(name, tile);
      else if (tile) tile.update(camera);
      else this.#add(camera);
    }
    this.#filter();
  }

  #remove(name, tile) {
    if (!tile) return;
    tile.end();
    this.#observer.unobserve(tile.element);
    this.#visible.delete(tile);
    this.#tiles.delete(name);
    const group = tile.element.closest("section");
    tile.element.remove();
    if (!group.querySelector(".tile")) group.remove();
  }

  #add(camera) {
    const tile = new Tile(camera);
    this.#tiles.set(camera.name, tile);
    tile.element.tile = tile;
    const grid = this.#group(camera.name.split("/")[0]).querySelector(".grid");
    const next = [...grid.children].find((element) => element.tile.name > camera.name);
    grid.insertBefore(tile.element, next ?? null);
    this.#observer.observe(tile.element);
  }

  // #group returns the section of a device, in the order of names.
  #group(device) {
    const all = [...this.#list.children];
    const found = all.find((section) => section.dataset.device === device);
    if (found) return found;
    const made = h("section", { "aria-label": device }, h("h2", { text: device }), h("div", { class: "grid" }));
    made.dataset.device = device;
    this.#list.insertBefore(made, all.find((section) => section.dataset.device > device) ?? null);
    return made;
  }

  #filter() {
    const wanted = this.#search.value.trim().toLowerCase();
    let shown = 0;
    for (const [name, { element }] of this.#tiles) {
      const camera = this.#fleet.cameras.get(name);
      element.hidden = !`${name} ${label(camera)}`.toLowerCase().includes(wanted);
      if (!element.hidden) shown++;
    }
    for (const section of this.#list.children) section.hidden = !section.querySelector(".tile:not([hidden])");
    const none = this.#tiles.size ? `No camera matches “${wanted}”.` : "There is no camera yet that your token covers. Cameras appear here when the gateway finds them in IoT Hub.";
    say(this.#empty, shown ? "" : none);
    this.#empty.hidden = shown > 0;
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) this.#visible.add(target.tile);
      else this.#visible.delete(target.tile);
    }
    this.#choose();
  }

  // #choose decides which tiles play: those in view, in their order, at most MAX_LIVE.
  #choose() {
    const playing = this.#playing;
    this.#live.textContent = playing ? "Live video" : "Last pictures";
    this.#live.setAttribute("aria-pressed", String(playing));
    let free = document.hidden || !playing ? 0 : MAX_LIVE;
    for (const element of this.#list.querySelectorAll(".tile")) {
      const visible = this.#visible.has(element.tile);
      element.tile.see(visible, visible && free-- > 0);
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("dialog")) return;
    if (event.key === "/" && document.activeElement !== this.#search) {
      event.preventDefault();
      this.#search.focus();
      return;
    }
    if (event.key === "Escape" && document.activeElement === this.#search) {
      this.#search.value = "";
      this.#filter();
    }
    if (event.key === "f" && !event.target.matches("input, select")) {
      if (document.fullscreenElement) document.exitFullscreen();
      else this.element.requestFullscreen?.();
    }
    this.#move(event);
  }

  // #move moves the focus between tiles by the arrow keys.
  #move(event) {
    const tiles = [...this.#list.querySelectorAll(".tile:not([hidden])")];
    const at = tiles.indexOf(document.activeElement);
    if (!event.key.startsWith("Arrow") || !tiles.length || document.activeElement?.matches("input, select")) return;
    const row = tiles.filter(({ offsetTop }) => offsetTop === tiles[Math.max(0, at)].offsetTop).length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key];
    event.preventDefault();
    tiles[at < 0 ? 0 : Math.min(tiles.length - 1, Math.max(0, at + step))].focus();
  }
}
