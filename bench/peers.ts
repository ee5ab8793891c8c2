import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expected, inputs } from "./asked.ts";
import { startChild } from "./child.ts";
import { type Contender, firstAnswer, freePort, type Served, type Setting } from "./contender.ts";
import { pythonEnvironment, root } from "./environments.ts";
import type { Call } from "./load.ts";

const folder = join(root, "bench/peers");
const logLevel = ["--log-level", "warning", "--no-access-log"];

type Peer = {
  readonly name: string;
  readonly family: string;
  readonly path: string;
  readonly body: object;
  readonly env?: Record<string, string>;
  prepare?(bin: string, env: NodeJS.ProcessEnv, scratch: string): void;
  /** Program in the environment's bin folder, and its arguments. */
  command(port: number, scratch: string): [string, ...string[]];
};

const fastapi = (name: string, workers: number, env: Record<string, string> = {}): Peer => ({
  name: `FastAPI ${name}, ${workers} worker${workers > 1 ? "s" : ""}`,
  family: "fastapi",
  path: "/predict",
  body: inputs,
  env,
  command: (port) => [
    "uvicorn",
    ...[
      "--app-dir",
      join(folder, "fastapi"),
      "server:app",
      "--port",
      String(port),
      "--workers",
      String(workers),
      ...logLevel,
    ],
  ],
});

/** Other servers of the program, each set up as its documentation says. */
const all: readonly Peer[] = [
  fastapi("asyncify", 1),
  fastapi("asyncify", 2),
  fastapi("acall", 1, { BENCH_ACALL: "1" }),
  fastapi("acall", 2, { BENCH_ACALL: "1" }),
  {
    name: "LitServe",
    family: "litserve",
    path: "/predict",
    body: inputs,
    command: () => ["python", join(folder, "litserve/server.py")],
  },
  {
    name: "BentoML",
    family: "bentoml",
    path: "/predict",
    body: inputs,
    env: { BENTOML_DO_NOT_TRACK: "true" },
    command: (port) => [
      "bentoml",
      "serve",
      "server:Answering",
      "--working-dir",
      join(folder, "bentoml"),
      "--host",
      "127.0.0.1",
      "-p",
      String(port),
      "-q",
    ],
  },
  {
    name: "MLflow",
    family: "mlflow",
    path: "/invocations",
    body: { inputs },
    prepare: (bin, env, scratch) =>
      execFileSync(join(bin, "python"), [join(folder, "mlflow/save.py"), join(scratch, "saved")], {
        env,
        stdio: "ignore",
      }),
    command: (port, scratch) => [
      "mlflow",
      ...[
        "models",
        "serve",
        "-m",
        join(scratch, "saved"),
        "--env-manager",
        "local",
        "-h",
        "127.0.0.1",
        "-p",
        String(port),
      ],
    ],
  },
];

export const peers: readonly Contender[] = all.map((peer) => ({
  name: peer.name,
  family: peer.family,
  prepare: (setting) => {
    pythonEnvironment(peer.family);
    peer.prepare?.(binOf(peer), environment(peer, setting), setting.scratch);
  },
  start: (setting) => start(peer, setting),
}));

const binOf = ({ family }: Peer) => join(pythonEnvironment(family), "bin");

function environment(peer: Peer, { model, state }: Setting): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PATH: `${binOf(peer)}:${process.env.PATH}`,
    PYTHONPATH: folder,
    // Without this setting, DSPy's litellm downloads a price list.
    LITELLM_LOCAL_MODEL_COST_MAP: "true",
    BENCH_MODEL: model,
    ...(state && { BENCH_STATE: state }),
    ...peer.env,
  };
}

async function start(peer: Peer, setting: Setting): Promise<Served> {
  const { scratch } = setting;
  const port = await freePort();
  const [program, ...args] = peer.command(port, scratch);
  const env = { ...environment(peer, setting), BENCH_PORT: String(port) };
  const child = startChild(join(binOf(peer), program), args, {
    env,
    cwd: scratch,
    log: join(scratch, "log"),
  });
  const call: Call = {
    label: peer.name,
    protocol: "http",
    targets: [`127.0.0.1:${port}`],
    path: peer.path,
    body: Buffer.from(JSON.stringify(peer.body)),
    expect: expected,
  };
  try {
    await firstAnswer(child, call);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return { pids: [child.pid], calls: [call], partOf: () => "server", stop: child.stop };
}

/** Writes the state of the program with demos, as DSPy's save() does. */
export function writeState(demos: number, file: string): void {
  const python = join(pythonEnvironment("fastapi"), "bin/python");
  execFileSync(python, [join(folder, "state.py"), String(demos), file], {
    env: { ...process.env, PYTHONPATH: folder, LITELLM_LOCAL_MODEL_COST_MAP: "true" },
  });
}
