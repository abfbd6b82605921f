// Failures: what fails, at which hop, and whether a retry can help. The gateway sends them as
// {hop, reason, message, since, retryAt}; the browser's own ones have the hop "viewer", too.

/** own returns a failure that the browser found. */
export function own(reason, message) {
  return { hop: "viewer", reason, message, since: new Date().toISOString() };
}

const LASTING = /^(ACCESS_(LOGIN|EXPIRED|DENIED)|CAM_UNKNOWN|PATH_UNKNOWN|CODEC_|VIEWER_CLOSED|REQ_)/;

/** lasts tells whether the failure stays until a person acts, so that no retry helps. */
export function lasts(failure) {
  return LASTING.test(failure?.reason ?? "");
}

const FIRST = 500, LAST = 15_000, LONGEST = 60_000; // milliseconds

/**
 * delay returns the milliseconds until retry number `attempt`, from 0. It doubles from 0.5 s to
 * 15 s, half of it at random. retryAt is the gateway's time of its own next try; now is the
 * gateway's clock. Clocks differ, so no delay is longer than one minute.
 */
export function delay(attempt, retryAt, now = Date.now(), random = Math.random()) {
  const most = Math.min(LAST, FIRST * 2 ** attempt);
  const backoff = most / 2 + (most / 2) * random;
  const wait = retryAt ? Date.parse(retryAt) - now : 0;
  return Math.min(LONGEST, Math.max(backoff, Number.isFinite(wait) ? wait : 0));
}

/**
 * ask requests url by GET, as a refused WebSocket does not show its answer. It returns the
 * failure that the gateway answers, or null if the gateway would accept a WebSocket there.
 */
export async function ask(url, token, signal) {
  let answer;
  try {
    answer = await fetch(url, { headers: bearer(token), cache: "no-store", signal });
  } catch {
    return own("GATEWAY_UNREACHABLE", "the gateway cannot be reached: check this device's network");
  }
  if (answer.ok || answer.status === 426 || answer.status === 400) return null;
  return problem(answer);
}

/** problem returns the failure of an answer of the gateway, or one of its status. */
export async function problem(answer) {
  const text = await answer.text().catch(() => "");
  try {
    const { hop, reason, message, detail, since, retryAt } = JSON.parse(text);
    if (hop && reason) return { hop, reason, message: message ?? detail, since, retryAt };
  } catch { /* no document: another program answered */ }
  if (answer.status === 401) return own("ACCESS_LOGIN", "the gateway needs a login");
  return own("GATEWAY_ANSWER", `the gateway, or a proxy before it, answers ${answer.status}`);
}

/** bearer returns the header with the token; without one, the cookie of the page is used. */
export function bearer(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}
