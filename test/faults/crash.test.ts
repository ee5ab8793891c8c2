import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import anyTest from "ava";
import { ProgramService } from "../../src/gen/sigrun/v1/program_service_pb.ts";
import { startPostgres, startScripted } from "../_gateway.ts";
import { startModel } from "../_model.ts";
import { readSites } from "../_sites.ts";
import type { Order } from "../_throw-at.ts";
import { until } from "../_wait.ts";

// One after the other, since each starts several processes.
const test = anyTest.serial;
const signature = { text: "question -> answer" };
const inputs = { question: "?" };
const paris = { fields: { answer: "Paris" } };
const preload = { NODE_OPTIONS: `--import=${new URL("../_throw-at.ts", import.meta.url)}` };

/** The first timer or listener of a file. */
function siteIn(file: string): string {
  const site = readSites().find(({ id }) => id.startsWith(`src/${file}`));
  if (!site) throw new Error(`no timer or listener in src/${file}`);
  return site.id;
}

test("calls in flight are answered after an uncaught error, and after more of them", async (t) => {
  t.timeout(300_000);
  const { gateway, model } = await startScripted(t, { ...preload, SIGRUN_MAX_DRAIN_MS: "60000" });
  const { program } = await gateway.programs.createProgram({ program: { name: "Capital", signature } });
  let answer = () => {};
  model.script({ ...paris, after: new Promise<void>((resolve) => (answer = resolve)) });
  const call = gateway.programs.executeProgram({ programId: program?.id ?? "", inputs });
  await until(() => model.requests.length === 1);

  for (const site of [siteIn("jobs/periodic.ts"), siteIn("readiness.ts")]) {
    gateway.process.send({ sites: [site], isForced: true } satisfies Order);
    await until(() => gateway.log().includes(`"stack":"Error: thrown at ${site}`));
  }
  t.is(gateway.process.exitCode, null);
  answer();
  t.deepEqual((await call).outputs, { answer: "Paris" });
  await until(() => gateway.process.exitCode !== null);
  t.is(gateway.process.exitCode, 70);
});

test("npm start restarts a gateway that ended after an uncaught error, and stops with it on SIGTERM", async (t) => {
  t.timeout(300_000);
  const model = await startModel();
  t.teardown(model.close);
  model.script(paris);
  const settings = {
    DATABASE_URL: await startPostgres(t),
    SIGRUN_PORT: "0",
    SIGRUN_LM: "openai/scripted",
    SIGRUN_LM_API_BASE: model.url,
    OPENAI_API_KEY: "test",
  };
  // The first run of each gateway throws, which ends the gateway.
  const child = spawn(process.execPath, [fileURLToPath(new URL("../../scripts/start.js", import.meta.url))], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...settings,
      ...preload,
      SIGRUN_THROW_AT: siteIn("store/notifications/announcer.ts"),
    },
    stdio: ["ignore", "pipe", "ignore"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const urls = () => lines.flatMap((line) => /^sigrun is ready on (.*)$/.exec(line)?.[1] ?? []);
  const programsOf = (baseUrl: string) => createClient(ProgramService, createGrpcTransport({ baseUrl }));

  const first = programsOf(await until(() => urls()[0]));
  const { program } = await first.createProgram({ program: { name: "Capital", signature } });
  first.executeProgram({ programId: program?.id ?? "", inputs }).catch(() => {});
  const second = programsOf(await until(() => urls()[1]));
  t.true(lines.includes("sigrun ended after an uncaught error, see the log; it restarts in 1 s"));
  t.is((await second.getProgram({ id: program?.id ?? "" })).program?.name, "Capital");

  child.kill("SIGTERM");
  await until(() => child.exitCode !== null);
  t.is(child.exitCode, 0);
});
