import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./setup.js";

/** Where grpcurl is, "" for the PATH; where it is not but Go is, it is built into node_modules; undefined where neither is. */
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
