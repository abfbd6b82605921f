// The page /embed/{name}: one picture that fills the frame, with a sentence where there is none.
//
// The token stands in the fragment (#token=…), which no server sees, or in the query.

import { Player } from "./player.js";

const FAILED = {
  idle: "paused", opening: "opening", stalled: "no new picture", reopening: "connecting again", failed: "no picture",
};

/** parameters returns what the address has. The token leaves the address bar, so that it is not copied with it. */
function parameters() {
  const query = new URLSearchParams(location.search), fragment = new URLSearchParams(location.hash.slice(1));
  const base = new URL(document.baseURI).pathname;
  const name = location.pathname.slice(base.length).split("/").slice(1).map(decodeURIComponent);
  const token = fragment.get("token") ?? query.get("token") ?? undefined;
  if (token) history.replaceState(null, "", location.pathname);
  return {
    camera: name.join("/"), stream: query.get("stream") ?? "", // the name may end with a stream
    token, output: query.get("output") ?? "auto", muted: query.get("muted") !== "0",
  };
}

/** element returns a new element with a class and a text, in parent. */
function element(parent, tag, name, text = "") {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  parent.append(made);
  return made;
}

/** sentence returns the state in words; empty while there is a live picture. */
function sentence({ phase, hop, message, failure, retryAt }) {
  if (phase === "playing" && !failure) return "";
  const why = failure?.message ?? message ?? (hop ? `waiting for the ${hop}` : "");
  const wait = retryAt ? Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)) : 0;
  return [FAILED[phase] ?? phase, why && `: ${why}`, wait > 0 && `; next try in ${wait} s`].filter(Boolean).join("");
}

function main() {
  const place = document.querySelector("main") ?? document.body;
  const video = element(place, "video", "embed-video");
  const state = element(place, "p", "embed-state");
  state.setAttribute("role", "status"); // a screen reader speaks it
  const sound = element(place, "button", "embed-sound", "Sound on");
  sound.type = "button";
  sound.hidden = true;
  const player = new Player(video, { ...parameters(), base: document.baseURI });
  const show = () => {
    const now = player.state, text = sentence(now);
    if (state.textContent !== text) state.textContent = text;
    state.hidden = !text;
    sound.hidden = !now.audio;
    sound.textContent = now.muted ? "Sound on" : "Sound off";
  };
  player.addEventListener("state", show);
  setInterval(() => { if (player.state.retryAt) show(); }, 1000);
  sound.addEventListener("click", () => { player.muted = !player.muted; });
  video.addEventListener("click", () => { if (video.paused) video.play().catch(() => {}); });
  player.start();
}

main();
