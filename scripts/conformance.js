// npm run conformance: runs connectconformance, from bench/.envs, against gRPC's unary calls.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { node, root, setUp } from "./setup.js";

const module = "connectrpc.com/conformance";
const version = "v1.0.7";
const folder = join(root, "bench/.envs/conformance", version);
const runner = join(folder, "connectconformance");
const protos = join(folder, "protos.binpb");

await setUp({ dev: true });
mkdirSync(folder, { recursive: true });
if (!existsSync(runner)) {
  console.log(`installing connectconformance ${version} with Go, into bench/.envs ...`);
  execFileSync("go", ["install", `${module}/cmd/connectconformance@${version}`], {
    stdio: "inherit",
    env: { ...process.env, GOBIN: folder },
  });
}
if (!existsSync(protos)) {
  const { Dir } = JSON.parse(
    execFileSync("go", ["mod", "download", "-json", `${module}@${version}`], { encoding: "utf8" }),
  );
  const flags = ["build", join(Dir, "proto"), "--as-file-descriptor-set", "-o", protos];
  execFileSync(join(root, "node_modules/.bin/buf"), flags, { cwd: root, stdio: "inherit" });
}
const server = [node, join(root, "test/conformance/server.ts"), protos];
const flags = [
  "--mode",
  "server",
  "--conf",
  join(root, "test/conformance/config.yaml"),
  ...process.argv.slice(2),
];
const { status } = spawnSync(runner, [...flags, "--", ...server], { cwd: root, stdio: "inherit" });
process.exit(status ?? 1);
