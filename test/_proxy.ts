import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";

type Pair = { caller: Socket; callee: Socket; isLost: boolean };

/** A TCP proxy in front of a server, which a test can cut, silence, restore and replace. */
export async function startProxy(firstPort: number) {
  let port = firstPort;
  const pairs = new Set<Pair>();
  /** Callers that came while the server hung. */
  const waiting = new Set<Socket>();
  let state: "open" | "cut" | "hanging" = "open";

  function pass({ caller, callee }: Pair): void {
    caller.pipe(callee);
    callee.pipe(caller);
  }
  function hold({ caller, callee }: Pair): void {
    for (const socket of [caller, callee]) socket.unpipe().pause();
  }
  function connect(caller: Socket): void {
    const pair = { caller, callee: createConnection(port, "127.0.0.1"), isLost: false };
    pairs.add(pair);
    const { callee } = pair;
    for (const [from, to] of [
      [caller, callee],
      [callee, caller],
    ] as const) {
      from.on("error", () => to.destroy());
      from.on("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
    pass(pair);
  }
  const server = createServer((caller) => {
    if (state === "cut") return void caller.destroy();
    if (state === "open") return connect(caller);
    waiting.add(caller.on("error", () => {}).on("close", () => waiting.delete(caller)));
  });
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  const cut = () => {
    state = "cut";
    for (const { caller, callee } of pairs) for (const socket of [caller, callee]) socket.destroy();
    for (const caller of waiting) caller.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    /** Leads new connections to another server; those that are open stay where they are. */
    lead: (to: number) => {
      port = to;
    },
    /** Closes every connection, and each new one at once. */
    cut,
    /** Forwards no byte, of no connection, as a server that hangs: connections stay open. */
    hang: () => {
      state = "hanging";
      for (const pair of pairs) hold(pair);
    },
    /** Forwards no byte of the connections that are open, for good; new ones work. */
    lose: () => {
      for (const pair of pairs) {
        pair.isLost = true;
        hold(pair);
      }
    },
    /** Ends a cut or a hang: what hung goes on. */
    restore: () => {
      if (state === "hanging") for (const pair of pairs) if (!pair.isLost) pass(pair);
      state = "open";
      for (const caller of waiting) connect(caller);
      waiting.clear();
    },
    close: () => {
      cut();
      server.close();
    },
  };
}
