import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { number, object, string, ValidationError } from "yup";

/** The operator's settings, read once at start. */
export type Config = Readonly<{
  host: string;
  /** Undefined if the operator set no port: the first free one from 8080 on. */
  port: number | undefined;
  /** Undefined: the embedded PostgreSQL. */
  databaseUrl: string | undefined;
  /** PostgreSQL schema of the tables. */
  databaseSchema: string;
  databasePool: number;
  dataDir: string;
  /** A gRPC target for each worker. Undefined: a child process. */
  sidecar: readonly string[] | undefined;
  /** Number of processes that run DSPy, if the sidecar is a child. */
  workers: number;
  lm: string;
  /** The models that programs may name, `lm` first. */
  lmAllowed: readonly string[];
  /** Absolute path of a file that the sidecar reads. */
  mcpServers: string | undefined;
  /** Whether modules may run code that the model writes. */
  generatedCode: boolean;
  /** Maximum age of an ended execution. Undefined: executions are kept. */
  retentionMs: number | undefined;
  /** Undefined if the operator set no level: warn on a terminal, else info. */
  logLevel: string | undefined;
}>;

const model = string().matches(
  /^[^/\s,]+\/[^\s,]+$/,
  ({ path }) => `${path} must be provider/model, such as openai/gpt-5-mini`,
);

const whole = (min: number, max: number) => {
  const says = ({ path }: { path: string }) => `${path} must be a whole number from ${min} to ${max}`;
  return number().typeError(says).integer(says).min(min, says).max(max, says);
};

const oneOf = (...words: string[]) =>
  string().oneOf(words, ({ path }) => `${path} must be one of ${words.join(", ")}`);

const environment = object({
  SIGRUN_HOST: string().default("127.0.0.1"),
  SIGRUN_PORT: whole(0, 65535),
  DATABASE_URL: string().matches(
    /^postgres(ql)?:\/\//,
    ({ path }) => `${path} must begin with postgres:// or postgresql://`,
  ),
  // PostgreSQL cuts names after 63 characters; the job queue's schema is this name plus _jobs.
  SIGRUN_DATABASE_SCHEMA: string()
    .matches(
      /^[a-z_][a-z0-9_]{0,57}$/,
      ({ path }) => `${path} must be a name of lower-case letters, digits and _, 58 at most`,
    )
    .default("public"),
  SIGRUN_DATABASE_POOL: whole(1, 1000).default(10),
  SIGRUN_DATA_DIR: string().default(".sigrun"),
  SIGRUN_SIDECAR: string(),
  SIGRUN_WORKERS: whole(1, 256).default(availableParallelism),
  SIGRUN_LM: model.default("embedded/smollm2"),
  SIGRUN_LM_ALLOWED: string().default(""),
  SIGRUN_MCP_SERVERS: string(),
  SIGRUN_GENERATED_CODE: oneOf("on", "off").default("off"),
  SIGRUN_RETENTION: string().matches(
    /^[1-9]\d{0,5}[mhd]$/,
    ({ path }) => `${path} must be a time such as 30d, 12h or 90m`,
  ),
  SIGRUN_LOG_LEVEL: oneOf("trace", "debug", "info", "warn", "error", "fatal"),
});

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const listed = (text: string) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

const msOf = (time: string) => Number(time.slice(0, -1)) * unitMs[time.slice(-1) as keyof typeof unitMs];

/** The settings in force, by the names of their variables, without passwords and file names. */
export function shownSettings(config: Config) {
  return {
    SIGRUN_HOST: config.host,
    SIGRUN_PORT: config.port ?? "8080, or the next one that is free",
    DATABASE_URL: config.databaseUrl ? "set" : "not set: the embedded PostgreSQL",
    SIGRUN_DATABASE_SCHEMA: config.databaseSchema,
    SIGRUN_DATABASE_POOL: config.databasePool,
    SIGRUN_SIDECAR: config.sidecar?.join(",") ?? "not set: processes of its own",
    SIGRUN_WORKERS: config.workers,
    SIGRUN_LM: config.lm,
    SIGRUN_LM_ALLOWED: config.lmAllowed.slice(1).join(","),
    SIGRUN_MCP_SERVERS: config.mcpServers === undefined ? "not set: no tools" : "set",
    SIGRUN_GENERATED_CODE: config.generatedCode ? "on" : "off",
    SIGRUN_RETENTION:
      config.retentionMs === undefined ? "not set: executions are kept" : `${config.retentionMs / unitMs.m}m`,
    SIGRUN_LOG_LEVEL: config.logLevel ?? "warn on a terminal, else info",
  };
}

/** The settings have errors; the message has one line for each wrong setting. */
export class ConfigError extends Error {}

/** Reads the settings; an empty variable counts as not set. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  try {
    const read = environment.validateSync(set, { abortEarly: false, stripUnknown: true });
    const further = listed(read.SIGRUN_LM_ALLOWED);
    for (const name of further) model.label("SIGRUN_LM_ALLOWED").validateSync(name);
    return Object.freeze({
      host: read.SIGRUN_HOST,
      port: read.SIGRUN_PORT,
      databaseUrl: read.DATABASE_URL,
      databaseSchema: read.SIGRUN_DATABASE_SCHEMA,
      databasePool: read.SIGRUN_DATABASE_POOL,
      dataDir: resolve(read.SIGRUN_DATA_DIR),
      sidecar: read.SIGRUN_SIDECAR === undefined ? undefined : Object.freeze(listed(read.SIGRUN_SIDECAR)),
      workers: read.SIGRUN_WORKERS,
      lm: read.SIGRUN_LM,
      lmAllowed: Object.freeze([...new Set([read.SIGRUN_LM, ...further])]),
      mcpServers: read.SIGRUN_MCP_SERVERS && resolve(read.SIGRUN_MCP_SERVERS),
      generatedCode: read.SIGRUN_GENERATED_CODE === "on",
      retentionMs: read.SIGRUN_RETENTION === undefined ? undefined : msOf(read.SIGRUN_RETENTION),
      logLevel: read.SIGRUN_LOG_LEVEL,
    });
  } catch (error) {
    if (error instanceof ValidationError) throw new ConfigError(error.errors.join("\n"), { cause: error });
    throw error;
  }
}
