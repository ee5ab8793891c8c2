import type { NodeHandler } from "./port.ts";

/**
 * Refuses a request whose host fits into no URL, of which Connect would make an exception. Returns
 * false if the request was answered here.
 */
export function checkHost(...[request, response]: Parameters<NodeHandler>): boolean {
  const host = "authority" in request ? request.authority : request.headers.host;
  if (host !== undefined && URL.canParse(`http://${host}`)) return true;
  response.writeHead(400, { "content-type": "text/plain; charset=utf-8" });
  response.end("unreadable header host; expected NAME or NAME:PORT\n");
  return false;
}
