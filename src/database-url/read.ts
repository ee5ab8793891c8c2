import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import type { DatabaseAddress, Host } from "./address.ts";
import { readTls } from "./tls.ts";
import { splitUri, WrongDatabaseUrl } from "./uri.ts";

/** libpq's parameters that are read here, each with the variable that holds its default. */
const variables = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  user: "PGUSER",
  password: "PGPASSWORD",
  dbname: "PGDATABASE",
  options: "PGOPTIONS",
  sslmode: "PGSSLMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  sslpassword: undefined,
  target_session_attrs: "PGTARGETSESSIONATTRS",
} as const;
type Parameter = keyof typeof variables;
/** libpq's parameters that have no effect: sigrun has its own value, or pg has no such thing. */
const ignored = [
  ...[
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "connect_timeout",
    "tcp_user_timeout",
  ],
  ...["keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "gssencmode"],
  ...["channel_binding", "sslcompression", "sslsni", "ssl_min_protocol_version", "ssl_max_protocol_version"],
];
const socketFolders = ["/var/run/postgresql", "/tmp"];
const writable = ["read-write", "primary"];

/** Reads a connection URI with libpq's rules and defaults. Throws WrongDatabaseUrl. */
export function readDatabaseUrl(text: string, env: NodeJS.ProcessEnv): DatabaseAddress {
  const uri = splitUri(text);
  const given = new Map(uri.parameters);
  // JDBC's spelling, which libpq takes too.
  if (given.get("ssl") === "true") given.set("sslmode", given.get("sslmode") ?? "require");
  given.delete("ssl");
  for (const name of given.keys())
    if (!(name in variables) && !ignored.includes(name))
      throw new WrongDatabaseUrl(
        `unknown parameter ${uri.mayShowNames ? `${JSON.stringify(name)} ` : ""}after the ?; expected one of ${Object.keys(variables).join(", ")}`,
      );
  const of = (name: Parameter): string | undefined => {
    const variable = variables[name];
    return given.get(name) || (variable && env[variable]) || undefined;
  };
  const user = given.get("user") || uri.user || env.PGUSER || userInfo().username;
  const hosts = hostsOf(
    list(of("hostaddr")) ?? list(given.get("host")) ?? ifAny(uri.hosts) ?? list(env.PGHOST),
    list(given.get("port")) ?? ifAny(uri.ports) ?? list(env.PGPORT) ?? [],
  );
  const target = of("target_session_attrs") ?? "any";
  if (![...writable, "any"].includes(target))
    throw new WrongDatabaseUrl(`target_session_attrs is wrong; expected any, ${writable.join(" or ")}`);
  const isLocal = hosts.every(({ host }) => host.startsWith("/"));
  const tls = readTls((name) => of(name as Parameter));
  return {
    hosts,
    user,
    password: given.get("password") || uri.password || env.PGPASSWORD || undefined,
    database: given.get("dbname") || uri.database || env.PGDATABASE || user,
    tls: isLocal ? undefined : tls,
    options: of("options"),
    // sigrun writes, so that of several servers only one that takes writes is of use.
    mustWrite: writable.includes(target) || hosts.length > 1,
  };
}

const list = (text: string | undefined) => (text ? text.split(",") : undefined);
const ifAny = (texts: readonly string[]) => (texts.some((text) => text !== "") ? texts : undefined);

function hostsOf(hosts: readonly string[] | undefined, ports: readonly string[]): Host[] {
  const named = hosts ?? [defaultHost(ports[0] || "5432")];
  if (ports.length > 1 && ports.length !== named.length)
    throw new WrongDatabaseUrl(
      `there are ${ports.length} ports for ${named.length} hosts; expected one port, or one for each host`,
    );
  return named.map((host, index) => ({
    host: host || "localhost",
    port: portOf((ports.length === 1 ? ports[0] : ports[index]) || "5432"),
  }));
}

/** libpq connects to the Unix socket of this machine. */
function defaultHost(port: string): string {
  return socketFolders.find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`)) ?? "localhost";
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new WrongDatabaseUrl(
      "the port is not a number from 1 to 65535; a /, @ or : in a password must be percent-encoded",
    );
  return port;
}
