// Generates src/gen and sidecar/gen from proto/ and from the protos of packages.
// With --check, fails if the committed code is stale.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const python = join(root, "sidecar/.venv/bin/python");
const run = (command, args) => execFileSync(command, args, { cwd: root, stdio: "inherit" });

/** Copies the protos of health, reflection and error details from their packages. */
function copyForeignProtos(into) {
  const sitePackages = execFileSync(
    python,
    ["-c", "import google.rpc; print(list(google.rpc.__path__)[0])"],
    { encoding: "utf8" },
  ).trim();
  const protos = {
    "grpc/health/v1/health.proto": "node_modules/grpc-health-check/proto/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto":
      "node_modules/@grpc/reflection/build/proto/grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto":
      "node_modules/@grpc/reflection/build/proto/grpc/reflection/v1alpha/reflection.proto",
    "google/rpc/error_details.proto": join(sitePackages, "error_details.proto"),
    "google/rpc/status.proto": join(sitePackages, "status.proto"),
  };
  for (const [name, from] of Object.entries(protos)) {
    mkdirSync(dirname(join(into, name)), { recursive: true });
    cpSync(resolve(root, from), join(into, name));
  }
}

function generate() {
  rmSync(join(root, "src/gen"), { recursive: true, force: true });
  rmSync(join(root, "sidecar/gen"), { recursive: true, force: true });
  const foreign = mkdtempSync(join(tmpdir(), "sigrun-proto-"));
  try {
    copyForeignProtos(foreign);
    run("buf", ["generate", foreign]);
  } finally {
    rmSync(foreign, { recursive: true });
  }
  run("buf", ["generate", "proto"]);
  mkdirSync(join(root, "sidecar/gen"), { recursive: true });
  run(python, [
    "-m",
    "grpc_tools.protoc",
    "-Iproto",
    "--python_out=sidecar/gen",
    "--pyi_out=sidecar/gen",
    "--grpc_python_out=sidecar/gen",
    ...readdirSync(join(root, "proto/sigrun/sidecar/v1")).map((file) => `proto/sigrun/sidecar/v1/${file}`),
  ]);
}

generate();
if (process.argv.includes("--check")) {
  const changed = execFileSync("git", ["status", "--porcelain", "--", "src/gen", "sidecar/gen"], {
    cwd: root,
    encoding: "utf8",
  });
  if (changed) {
    console.error(`Generated code was stale; it is fresh now. Commit it:\n${changed}`);
    process.exit(1);
  }
}
