import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { number, object, string, ValidationError } from "yup";
import type { DatabaseAddress } from "./database-url/address.ts";
import { readDatabaseUrl } from "./database-url/read.ts";

/** The operator's settings, read once at start. */
export type Config = Readonly<{
  host: string;
  /** Undefined if the operator set no port: the first free one from 8080 on. */
  port: number | undefined;
  maxConnections: number;
  /** Calls that the peer of one HTTP/2 connection may cancel each second. */
  maxCancels: number;
  /** Maximum bytes of the requests under way. */
  requestMemory: number;
  /** Maximum bytes of the answers that callers have not read yet. */
  answerMemory: number;
  /** Undefined: the embedded PostgreSQL. */
  database: DatabaseAddress | undefined;
  /** Past a pooler, for notices and migrations. Undefined: `database`. */
  databaseListen: DatabaseAddress | undefined;
  /** True if `database` leads to a pooler in transaction mode. */
  databasePooler: boolean;
  /** PostgreSQL schema of the tables. */
  databaseSchema: string;
  databasePool: number;
  dataDir: string;
  /** A gRPC target for each worker. Undefined: a child process. */
  sidecar: readonly string[] | undefined;
  /** What the gateway sends to the sidecar. Never shown. */
  sidecarToken: string | undefined;
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
  /** Maximum time from the request to stop to the end of the gateway and its processes. */
  drainMs: number;
  /** Undefined if the operator set no level: warn on a terminal, else info. */
  logLevel: string | undefined;
}>;

type Wrong = { path: string; originalValue?: unknown };

const expected =
  (what: string) =>
  ({ path, originalValue }: Wrong) =>
    `${path} is ${JSON.stringify(originalValue)}; expected ${what}`;
/** For values that may hold a secret. */
const expectedUnshown =
  (what: string) =>
  ({ path }: Wrong) =>
    `${path} has a wrong value; expected ${what}`;

/** Names what is wrong, and not the value, which may hold a password. */
const databaseUrl = string().test((url, { path, createError }) => {
  try {
    if (url !== undefined) readDatabaseUrl(url, process.env);
    return true;
  } catch (error) {
    return createError({ message: `${path} has a wrong value: ${(error as Error).message}` });
  }
});

const model = string().matches(/^[^/\s,]+\/[^\s,]+$/, expected("PROVIDER/MODEL, such as openai/gpt-5-mini"));

/** The newline at the end of a file with a key would be told only by the first run. */
const keyNames =
  /_API_KEY$|^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|BEARER_TOKEN_BEDROCK)$|^(AZURE_AD|HF)_TOKEN$/;
const key = /^[!-~]+$/;
const expectedKey = expectedUnshown("one line of printable ASCII, without blanks");

const integer = (min: number, max: number) => {
  const message = expected(`a whole number from ${min} to ${max}`);
  return number().typeError(message).integer(message).min(min, message).max(max, message);
};

const oneOf = (...words: string[]) => string().oneOf(words, expected(`one of ${words.join(", ")}`));

/** Half of it, which one connection gets, holds several messages of the maximum size. */
const size = string().matches(
  /^([1-9]\d{0,4}GiB|[1-9]\d{1,5}MiB)$/,
  expected("a size of at least 10MiB, such as 256MiB or 2GiB"),
);

const environment = object({
  SIGRUN_HOST: string().default("127.0.0.1"),
  SIGRUN_PORT: integer(0, 65535),
  SIGRUN_MAX_CONNECTIONS: integer(1, 1_000_000).default(10_000),
  SIGRUN_MAX_CANCELS: integer(1, 1_000_000).default(1_000),
  SIGRUN_REQUEST_MEMORY: size.default("256MiB"),
  SIGRUN_ANSWER_MEMORY: size.default("512MiB"),
  DATABASE_URL: databaseUrl,
  SIGRUN_DATABASE_LISTEN_URL: databaseUrl,
  SIGRUN_DATABASE_POOLER: oneOf("transaction"),
  // PostgreSQL cuts names after 63 bytes, and keeps those that begin with pg_ for itself.
  SIGRUN_DATABASE_SCHEMA: string()
    .matches(
      /^(?!pg_)[a-z_][a-z0-9_]{0,62}$/,
      expected("a name of at most 63 lower-case letters, digits and _, without a digit or pg_ first"),
    )
    .default("public"),
  SIGRUN_DATABASE_POOL: integer(1, 1000).default(10),
  SIGRUN_DATA_DIR: string().default(".sigrun"),
  SIGRUN_SIDECAR: string(),
  SIGRUN_SIDECAR_TOKEN: string().matches(key, expectedKey),
  SIGRUN_LM_MAX_ANSWER: string().matches(
    /^[1-9]\d{0,8}(KiB|MiB|GiB)?$/,
    expected("a size such as 32MiB, in bytes, KiB, MiB or GiB"),
  ),
  SIGRUN_WORKERS: integer(1, 256).default(availableParallelism),
  SIGRUN_LM: model.default("embedded/smollm2"),
  SIGRUN_LM_ALLOWED: string().default(""),
  SIGRUN_MCP_SERVERS: string(),
  SIGRUN_GENERATED_CODE: oneOf("on", "off").default("off"),
  SIGRUN_RETENTION: string().matches(
    /^[1-9]\d{0,5}[mhd]$/,
    expected("a number of days, hours or minutes, such as 30d, 12h or 90m"),
  ),
  SIGRUN_DRAIN: string()
    .matches(/^[1-9]\d{0,3}[sm]$/, expected("a number of seconds or minutes, such as 25s or 2m"))
    .default("25s"),
  SIGRUN_LOG_LEVEL: oneOf("trace", "debug", "info", "warn", "error", "fatal"),
});

const unitBytes = { MiB: 2 ** 20, GiB: 2 ** 30 } as const;
const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const splitList = (text: string) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

const readDurationMs = (time: string) =>
  Number(time.slice(0, -1)) * unitMs[time.slice(-1) as keyof typeof unitMs];

const readSize = (size: string) =>
  Number(size.slice(0, -3)) * unitBytes[size.slice(-3) as keyof typeof unitBytes];

/** The settings in force, by the names of their variables; passwords and paths are left out. */
export function shownSettings(config: Config) {
  return {
    SIGRUN_HOST: config.host,
    SIGRUN_PORT: config.port ?? "8080, or the next one that is free",
    SIGRUN_MAX_CONNECTIONS: config.maxConnections,
    SIGRUN_MAX_CANCELS: config.maxCancels,
    SIGRUN_REQUEST_MEMORY: `${config.requestMemory / unitBytes.MiB}MiB`,
    SIGRUN_ANSWER_MEMORY: `${config.answerMemory / unitBytes.MiB}MiB`,
    DATABASE_URL: config.database ? "set" : "not set: the embedded PostgreSQL",
    SIGRUN_DATABASE_POOLER: config.databasePooler ? "transaction" : "not set: no pooler",
    SIGRUN_DATABASE_LISTEN_URL: config.databaseListen ? "set" : "not set",
    SIGRUN_DATABASE_SCHEMA: config.databaseSchema,
    SIGRUN_DATABASE_POOL: config.databasePool,
    SIGRUN_SIDECAR: config.sidecar?.join(",") ?? "not set: processes of its own",
    SIGRUN_SIDECAR_TOKEN: config.sidecarToken === undefined ? "not set" : "set",
    SIGRUN_WORKERS: config.workers,
    SIGRUN_LM: config.lm,
    SIGRUN_LM_ALLOWED: config.lmAllowed.slice(1).join(","),
    SIGRUN_MCP_SERVERS: config.mcpServers === undefined ? "not set: no tools" : "set",
    SIGRUN_GENERATED_CODE: config.generatedCode ? "on" : "off",
    SIGRUN_RETENTION:
      config.retentionMs === undefined ? "not set: executions are kept" : `${config.retentionMs / unitMs.m}m`,
    SIGRUN_DRAIN: `${config.drainMs / unitMs.s}s`,
    SIGRUN_LOG_LEVEL: config.logLevel ?? "warn on a terminal, else info",
  };
}

/** Thrown if settings are wrong; the message has one line for each of them. */
export class ConfigError extends Error {}

const wrongKeys = (set: NodeJS.ProcessEnv) =>
  Object.entries(set)
    .filter(([name, value = ""]) => keyNames.test(name) && !key.test(value))
    .map(([path]) => expectedKey({ path }));

/** Reads the settings; an empty variable counts as not set. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const wrong = wrongKeys(set);
  try {
    const read = environment.validateSync(set, { abortEarly: false, stripUnknown: true });
    if (wrong.length > 0) throw new ConfigError(wrong.join("\n"));
    const others = splitList(read.SIGRUN_LM_ALLOWED);
    for (const name of others) model.label("SIGRUN_LM_ALLOWED").validateSync(name);
    return Object.freeze({
      host: read.SIGRUN_HOST,
      port: read.SIGRUN_PORT,
      maxConnections: read.SIGRUN_MAX_CONNECTIONS,
      maxCancels: read.SIGRUN_MAX_CANCELS,
      requestMemory: readSize(read.SIGRUN_REQUEST_MEMORY),
      answerMemory: readSize(read.SIGRUN_ANSWER_MEMORY),
      database: read.DATABASE_URL === undefined ? undefined : readDatabaseUrl(read.DATABASE_URL, env),
      databaseListen:
        read.SIGRUN_DATABASE_LISTEN_URL === undefined
          ? undefined
          : readDatabaseUrl(read.SIGRUN_DATABASE_LISTEN_URL, env),
      databasePooler: read.SIGRUN_DATABASE_POOLER === "transaction",
      databaseSchema: read.SIGRUN_DATABASE_SCHEMA,
      databasePool: read.SIGRUN_DATABASE_POOL,
      dataDir: resolve(read.SIGRUN_DATA_DIR),
      sidecar: read.SIGRUN_SIDECAR === undefined ? undefined : Object.freeze(splitList(read.SIGRUN_SIDECAR)),
      sidecarToken: read.SIGRUN_SIDECAR_TOKEN,
      workers: read.SIGRUN_WORKERS,
      lm: read.SIGRUN_LM,
      lmAllowed: Object.freeze([...new Set([read.SIGRUN_LM, ...others])]),
      mcpServers: read.SIGRUN_MCP_SERVERS && resolve(read.SIGRUN_MCP_SERVERS),
      generatedCode: read.SIGRUN_GENERATED_CODE === "on",
      retentionMs: read.SIGRUN_RETENTION === undefined ? undefined : readDurationMs(read.SIGRUN_RETENTION),
      drainMs: readDurationMs(read.SIGRUN_DRAIN),
      logLevel: read.SIGRUN_LOG_LEVEL,
    });
  } catch (error) {
    if (error instanceof ValidationError)
      throw new ConfigError([...error.errors, ...wrong].join("\n"), { cause: error });
    throw error;
  }
}
