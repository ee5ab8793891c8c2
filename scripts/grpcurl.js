import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./setup.js";

/**
 * The folder of grpcurl; "" if grpcurl is in the PATH. If only Go is there, builds grpcurl into
 * node_modules. Undefined if neither is there.
 */
export function grpcurlFolder() {
  if (spawnSync("grpcurl", ["-version"]).status === 0) return "";
  if (spawnSync("go", ["version"]).status !== 0) return undefined;
  const folder = join(root, "node_modules/.cache/sigrun/bin");
  mkdirSync(folder, { recursive: true });
  const env = { ...process.env, GOBIN: folder };
  execFileSync("go", ["install", "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3"], {
    env,
    stdio: "ignore",
  });
  return folder;
}
