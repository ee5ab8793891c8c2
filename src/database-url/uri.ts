/** Thrown if a URL is wrong. The message names the part, and not its value: it may be secret. */
export class WrongDatabaseUrl extends Error {}

export type Uri = {
  readonly user: string;
  readonly password: string;
  readonly hosts: readonly string[];
  readonly ports: readonly string[];
  readonly database: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** False if a parameter may be the rest of a password that holds an @. */
  readonly mayShowNames: boolean;
};

const scheme = /^postgres(?:ql)?:\/\//;
const mustBeEncoded = "a /, @, : or % in a user or password must be percent-encoded";

/** Splits a connection URI as libpq does: WHATWG's rules would cut it at other places. */
export function splitUri(text: string): Uri {
  const found = scheme.exec(text);
  if (!found) throw new WrongDatabaseUrl("expected a URL that begins with postgres:// or postgresql://");
  const rest = text.slice(found[0].length);
  // The first of the two signs tells whether there are credentials.
  const sign = /[@/]/.exec(rest);
  const hasCredentials = sign?.[0] === "@";
  const credentials = hasCredentials ? rest.slice(0, sign.index) : "";
  const colon = credentials.indexOf(":");
  const [user, password] =
    colon < 0 ? [credentials, ""] : [credentials.slice(0, colon), credentials.slice(colon + 1)];
  const parts = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(
    hasCredentials ? rest.slice(sign.index + 1) : rest,
  );
  const [, authority = "", database = "", query = ""] = parts ?? [];
  const places = authority.split(",").map(splitPlace);
  return {
    user: decode(user, "the user"),
    password: decode(password, "the password"),
    hosts: places.map(({ host }) => host),
    ports: places.map(({ port }) => port),
    database: decode(database, "the database"),
    parameters: parametersOf(query),
    mayShowNames: !query.includes("@"),
  };
}

function splitPlace(place: string): { host: string; port: string } {
  if (place.includes("@")) throw new WrongDatabaseUrl(`the host has an @; ${mustBeEncoded}`);
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(place);
  if (!found)
    throw new WrongDatabaseUrl(`the host is wrong; write an IPv6 address in brackets; ${mustBeEncoded}`);
  const [, address, name = "", port = ""] = found;
  return { host: address ?? decode(name, "the host"), port: decode(port, "the port") };
}

function parametersOf(query: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of query === "" ? [] : query.split("&")) {
    const [name = "", value, ...more] = pair.split("=");
    if (value === undefined || more.length > 0)
      throw new WrongDatabaseUrl("a parameter after the ? is not of the form name=value");
    parameters.set(decode(name, "a parameter's name"), decode(value, "a parameter"));
  }
  return parameters;
}

function decode(text: string, part: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text))
    throw new WrongDatabaseUrl(`${part} has a % that two hexadecimal digits do not follow; write it as %25`);
  if (/%00/.test(text)) throw new WrongDatabaseUrl(`${part} has a %00, which PostgreSQL does not take`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw new WrongDatabaseUrl(`${part} has percent escapes that are not UTF-8`);
  }
}
