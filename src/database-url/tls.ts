import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { DatabaseAddress } from "./address.ts";
import { WrongDatabaseUrl } from "./uri.ts";

const modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

/** Reads TLS's settings as libpq does; `of` gives a parameter's value, or undefined. */
export function readTls(of: (name: string) => string | undefined): DatabaseAddress["tls"] {
  const root = of("sslrootcert") ?? defaultRoot();
  const wanted = of("sslmode") ?? (root === "system" ? "verify-full" : "prefer");
  const mode = modes.find((one) => one === wanted);
  if (!mode) throw new WrongDatabaseUrl(`sslmode is wrong; expected one of ${modes.join(", ")}`);
  if (mode === "disable") return undefined;
  if (root === "system" && mode !== "verify-full")
    throw new WrongDatabaseUrl("sslrootcert=system needs sslmode=verify-full");
  const isOptional = mode === "allow" || mode === "prefer";
  // With a root certificate, libpq's "require" verifies as "verify-ca" does.
  const isVerified = mode.startsWith("verify") || (mode === "require" && root !== undefined);
  if (mode === "verify-ca" && root === undefined)
    throw new WrongDatabaseUrl("sslmode=verify-ca needs sslrootcert, the file of the root certificate");
  const [cert, key] = [read("sslcert", of("sslcert")), read("sslkey", of("sslkey"))];
  const ca = isVerified && root !== "system" ? read("sslrootcert", root) : undefined;
  const passphrase = of("sslpassword");
  return {
    isOptional,
    options: {
      rejectUnauthorized: isVerified,
      ...(mode !== "verify-full" && { checkServerIdentity: () => undefined }),
      ...(ca && { ca }),
      ...(cert && { cert }),
      ...(key && { key }),
      ...(passphrase && { passphrase }),
    },
  };
}

function defaultRoot(): string | undefined {
  const path = join(homedir(), ".postgresql/root.crt");
  return existsSync(path) ? path : undefined;
}

function read(name: string, path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new WrongDatabaseUrl(`${name} names a file that can't be read (${code})`);
  }
}
