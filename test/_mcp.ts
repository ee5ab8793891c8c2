import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Teardown } from "./_gateway.ts";

const sidecar = fileURLToPath(new URL("../sidecar", import.meta.url));
const python = join(sidecar, ".venv/bin/python");
const script = join(sidecar, "tests/mcp_server.py");

/** Configures a real MCP server, which the sidecar starts and which writes files to the folder. */
export const stdioServer = (dir: string) => ({
  command: python,
  args: [script, "stdio"],
  env: { MCP_TEST_DIR: dir },
});

/** A configuration file in the form of MCP clients, and its folder. */
export function mcpFile(t: Teardown, servers: (dir: string) => object): { file: string; dir: string } {
  const dir = mkdtempSync(join(tmpdir(), "sigrun-mcp-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, "mcp.json");
  writeFileSync(file, JSON.stringify({ mcpServers: servers(dir) }));
  return { file, dir };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Starts the same server over streamable HTTP. */
export function startHttpServer(t: Teardown, port: number): { stop(): Promise<void> } {
  const child = spawn(python, [script, "streamable-http", String(port)], { stdio: "ignore" });
  const exited = once(child, "exit");
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  t.teardown(stop);
  return { stop };
}
