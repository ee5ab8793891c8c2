import { readdirSync, readFileSync } from "node:fs";
import test from "ava";
import { startScripted } from "../_gateway.ts";

/** Nothing listens there: whoever is sent to it fails. */
const nowhere = "http://127.0.0.1:9";
const proxies = Object.fromEntries(
  ["http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(
    (name) => [name, nowhere],
  ),
);

test("the sidecar gets all of the environment but the gateway's own, and no proxy leads to this machine", async (t) => {
  const { gateway, model } = await startScripted(t, {
    ...proxies,
    SIGRUN_WORKERS: "1",
    PGAPPNAME: "secret",
    PGPASSWORD: "secret",
    SIGRUN_DATABASE_POOL: "5",
    SIGRUN_BOOTSTRAP_KEY_FILE: "/secret",
    SIGRUN_TLS_KEY: "/secret",
    SIGRUN_JWT_JWKS: "secret",
    ANTHROPIC_API_KEY: "kept",
    AWS_REGION: "kept",
    SIGRUN_LM_ALLOWED: "openai/other",
    PGX: "secret",
  });
  const child = childEnvironments(gateway.process.pid as number).find(({ cmdline }) =>
    /dspy_sidecar/.test(cmdline),
  );
  const names = Object.keys(child?.environ ?? {});
  const isOwn = /^(DATABASE_URL$|PG|SIGRUN_(DATABASE_|BOOTSTRAP_KEY_FILE$|TLS_|JWT_))/;
  t.deepEqual(
    names.filter((name) => isOwn.test(name)),
    [],
  );
  t.like(child?.environ, {
    ANTHROPIC_API_KEY: "kept",
    AWS_REGION: "kept",
    SIGRUN_LM_ALLOWED: "openai/other",
  });
  t.is(child?.environ.SIGRUN_LM, "openai/scripted");

  model.script({ fields: { answer: "here" } });
  await gateway.programs.createProgram({
    program: { name: "Near", signature: { text: "question -> answer" } },
  });
  const { outputs } = await gateway.programs.executeProgram({ programId: "near", inputs: { question: "?" } });
  t.deepEqual(outputs, { answer: "here" });
});

/** The processes that a process has started. */
function childEnvironments(parent: number) {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .flatMap((pid) => {
      try {
        const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8");
        if (!new RegExp(`^PPid:\\s+${parent}$`, "m").test(read("status"))) return [];
        const pairs = read("environ").split("\0").filter(Boolean);
        const environ = Object.fromEntries(
          pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
        );
        return [{ cmdline: read("cmdline"), environ: environ as Record<string, string> }];
      } catch {
        return [];
      }
    });
}
