// Which outputs this browser can play, in the order in which they are tried.

const HLS_TYPE = "application/vnd.apple.mpegurl";

/** mediaSource returns the browser's class MediaSource, or ManagedMediaSource as on the iPhone; null if none. */
export function mediaSource(scope = globalThis) {
  return scope.MediaSource ?? scope.ManagedMediaSource ?? null;
}

/** abilities returns what the choice depends on. */
export function abilities(video, scope = globalThis) {
  return {
    mediaSource: Boolean(mediaSource(scope)),
    webSocket: Boolean(scope.WebSocket),
    nativeHLS: Boolean(video.canPlayType?.(HLS_TYPE)),
  };
}

/**
 * choose returns {output, why} for each output that can play, best first. wanted is "auto", or
 * the one output to use. The list is empty if the wanted one cannot play.
 */
export function choose(wanted, can) {
  const all = [];
  if (can.mediaSource && can.webSocket) all.push({ output: "mse", why: "MSE: this browser plays a WebSocket's pictures, with the lowest latency" });
  if (can.mediaSource) all.push({ output: "hls", why: "LL-HLS by hls.js: plain HTTP requests, which pass where WebSockets do not" });
  if (can.nativeHLS) all.push({ output: "native-hls", why: "HLS: this browser plays it without a script" });
  if (can.nativeHLS && !can.mediaSource) all.reverse();
  all.push({ output: "still", why: "still picture every 5 s: this browser has no other way to play live video" });
  if (wanted === "auto") return all;
  return all.filter(({ output }) => output === wanted || (wanted === "hls" && output === "native-hls"))
    .map(({ output, why }) => ({ output, why: `${why}; chosen by the user` }));
}
