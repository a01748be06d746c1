// Speaks with the API of the server. The token is kept by this tab alone, and is sent with each
// request; a page of another origin has none, even if its name leads to this server.

const KEY = "token";
const WAIT_MIN = 500;
const WAIT_MAX = 15_000;

/** A request that was not carried out, with what the server said. */
export class Refused extends Error {
  constructor(status, cause) {
    super(cause);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (text) => sessionStorage.setItem(KEY, text),
  forget: () => sessionStorage.removeItem(KEY),
};

async function send(path, options = {}) {
  const headers = { ...options.headers };
  // The control socket wants no token, and an empty one is no header.
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  if (options.method) headers["x-host-admin"] = "page";
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
}

/** Sends a request, and returns the JSON of the reply. */
export async function ask(path, options) {
  let reply;
  try {
    reply = await send(path, options);
  } catch (error) {
    throw new Refused(0, `The server does not answer (${error.message}).`);
  }
  const body = await reply.json().catch(() => ({}));
  if (reply.ok) return body;
  throw new Refused(reply.status, body.cause ?? body.error ?? `The server answered with status ${reply.status}.`);
}

/** Like `ask`, but null if there is no such resource. */
export const askIfAny = (path) =>
  ask(path).catch((refused) => (refused.status === 404 ? null : Promise.reject(refused)));

/** Orders a change. The body is a file, or what becomes JSON. */
export const order = (path, headers = {}, body = undefined) =>
  ask(path, { method: "POST", headers, body: body && !(body instanceof Blob) ? JSON.stringify(body) : body });

export const ofSite = (path, site, more = {}) => `${path}?${new URLSearchParams({ site, ...more })}`;

/** Follows a stream until the returned function is called. Connects again when it is lost, or when
 * nothing has come for `patience` milliseconds. `told` gets the name, the data and the id of each
 * event; `connected` gets true, or why there is no connection. */
export function follow(path, patience, told, connected) {
  const end = new AbortController();
  const run = async () => {
    // An id that no server has given: the changes that the server still has come first.
    let last = "0";
    let wait = WAIT_MIN;
    while (!end.signal.aborted) {
      const silence = new AbortController();
      let timer;
      const heard = () => {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(new Error(`nothing was heard for ${patience / 1000} s`)), patience);
      };
      try {
        heard();
        const signal = AbortSignal.any([end.signal, silence.signal]);
        const reply = await send(path, { signal, headers: { "last-event-id": last } });
        if (!reply.ok) throw new Refused(reply.status, (await reply.json().catch(() => ({}))).error);
        connected(true);
        for await (const { event, data, id } of events(reply.body, heard)) {
          wait = WAIT_MIN;
          last = id ?? last;
          if (data !== undefined) told(event, JSON.parse(data), id);
        }
      } catch (error) {
        if (!end.signal.aborted) connected(error);
      } finally {
        clearTimeout(timer);
      }
      if (end.signal.aborted) return;
      connected(new Error("the stream has ended"));
      await new Promise((woken) => setTimeout(woken, wait));
      wait = Math.min(wait * 2, WAIT_MAX);
    }
  };
  run();
  return () => end.abort();
}

/** Splits a body into server-sent events. */
async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const found = {};
      for (const line of block.split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) found[line.slice(0, colon)] = line.slice(colon + 2);
      }
      yield found;
    }
  }
}
