// Requests to the gateway's API. The login is the page's cookie.

import { problem } from "../player/failures.js";

/** url returns an address below the gateway's. */
export const url = (tail) => new URL(tail, document.baseURI).href;

/** Refused is the error of a request that the gateway refused, with its failure. */
export class Refused extends Error {
  constructor(failure, status) {
    super(failure.message ?? failure.reason);
    this.failure = failure;
    this.status = status;
  }
}

/** call sends a request, and returns the answer's JSON; null if it has none. */
export async function call(method, tail, body) {
  let answer;
  try {
    answer = await fetch(url(tail), {
      method, cache: "no-store", credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused({ hop: "gateway", reason: "GATEWAY_UNREACHABLE", message: "the gateway cannot be reached: check this device's network" }, 0);
  }
  if (!answer.ok) throw new Refused(await problem(answer), answer.status);
  const text = await answer.text();
  return text ? JSON.parse(text) : null;
}
