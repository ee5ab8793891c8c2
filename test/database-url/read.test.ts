import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { readDatabaseUrl } from "../../src/database-url/read.ts";
import { WrongDatabaseUrl } from "../../src/database-url/uri.ts";

const read = (url: string, env: Record<string, string> = {}) => readDatabaseUrl(url, env);

test("reads user, password, host, port and database", (t) => {
  const { tls, ...address } = read("postgresql://me:secret@db.example:6543/records");
  t.deepEqual(address, {
    hosts: [{ host: "db.example", port: 6543 }],
    user: "me",
    password: "secret",
    database: "records",
    options: undefined,
    mustWrite: false,
  });
  t.true(tls?.isOptional, "libpq's default is prefer");
});

test("any user, password and database can be written with percent escapes", (t) => {
  const text = fc.string({ unit: "grapheme", minLength: 1 }).filter((one) => !one.includes("\0"));
  fc.assert(
    fc.property(text, text, text, (user, password, database) => {
      const [u, p, d] = [user, password, database].map(encodeURIComponent);
      for (const url of [`postgres://${u}:${p}@h/${d}`, `postgres://h?user=${u}&password=${p}&dbname=${d}`]) {
        const address = read(url);
        t.deepEqual([address.user, address.password, address.database], [user, password, database]);
      }
    }),
  );
});

test("a password with # or ? is taken as libpq takes it", (t) => {
  t.is(read("postgres://me:a#b?c@h/d").password, "a#b?c");
});

for (const [url, hosts] of [
  ["postgres://h/d", [["h", 5432]]],
  ["postgres://[::1]:5433/d", [["::1", 5433]]],
  [
    "postgres://a,b:2,[::1]/d",
    [
      ["a", 5432],
      ["b", 2],
      ["::1", 5432],
    ],
  ],
  [
    "postgres:///d?host=a,b&port=1,2",
    [
      ["a", 1],
      ["b", 2],
    ],
  ],
  [
    "postgres://a,b/d?port=7",
    [
      ["a", 7],
      ["b", 7],
    ],
  ],
  ["postgres://%2Fvar%2Frun/d", [["/var/run", 5432]]],
  ["postgres:///d?host=/tmp/sockets&port=9", [["/tmp/sockets", 9]]],
] as const)
  test(`the hosts of ${url}`, (t) => {
    t.deepEqual(
      read(url).hosts.map(({ host, port }) => [host, port]),
      hosts.map((one) => [...one]),
    );
  });

test("what the URL leaves out comes from libpq's variables, and then from libpq's defaults", (t) => {
  const env = {
    PGHOST: "h",
    PGPORT: "7",
    PGUSER: "u",
    PGPASSWORD: "p",
    PGDATABASE: "d",
    PGSSLMODE: "disable",
  };
  t.like(read("postgres://", env), {
    hosts: [{ host: "h", port: 7 }],
    user: "u",
    password: "p",
    database: "d",
  });
  t.is(read("postgres://", env).tls, undefined);
  t.like(read("postgres://me@there/it", env), { user: "me", database: "it", password: "p" });
  const { user, database } = read("postgres://h");
  t.deepEqual([user, database], [userInfo().username, userInfo().username]);
});

test("sslmode is libpq's, with root certificates", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sigrun-url-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const root = join(folder, "root.crt");
  writeFileSync(root, "certificate");
  const tls = (query: string) => {
    const found = read(`postgres://h/d?${query}`).tls;
    const { rejectUnauthorized, checkServerIdentity, ca } = found?.options ?? {};
    return found && [found.isOptional, rejectUnauthorized, checkServerIdentity === undefined, ca];
  };
  t.is(tls("sslmode=disable"), undefined);
  t.deepEqual(tls("sslmode=prefer"), [true, false, false, undefined]);
  t.deepEqual(tls("sslmode=require"), [false, false, false, undefined]);
  t.deepEqual(tls("ssl=true"), [false, false, false, undefined]);
  t.deepEqual(tls(`sslmode=require&sslrootcert=${root}`), [false, true, false, "certificate"]);
  t.deepEqual(tls(`sslmode=verify-ca&sslrootcert=${root}`), [false, true, false, "certificate"]);
  t.deepEqual(tls(`sslmode=verify-full&sslrootcert=${root}`), [false, true, true, "certificate"]);
  t.deepEqual(tls("sslrootcert=system"), [false, true, true, undefined]);
  t.is(read("postgres:///d?host=/tmp&sslmode=require").tls, undefined, "a Unix socket has no TLS");
});

test("several hosts, or target_session_attrs, ask for a server that takes writes", (t) => {
  t.true(read("postgres://a,b/d").mustWrite);
  t.true(read("postgres://a/d?target_session_attrs=read-write").mustWrite);
  t.false(read("postgres://a/d").mustWrite);
});

for (const [url, words] of [
  ["mysql://h/d", /begins with postgres:\/\//],
  ["postgres://me:a@b@h/d", /the host has an @; .*percent-encoded/],
  ["postgres://me:a/b@h/d", /the port is not a number/],
  [
    "postgres://me:100%@h/d",
    /the password has a % that two hexadecimal digits do not follow; write it as %25/,
  ],
  ["postgres://me:%ff@h/d", /the password has percent escapes that are not UTF-8/],
  ["postgres://h:99999/d", /the port is not a number from 1 to 65535/],
  ["postgres://::1/d", /IPv6 address in brackets/],
  ["postgres://h/d?sslmode=yes", /sslmode is wrong; expected one of disable/],
  ["postgres://h/d?schema=x", /unknown parameter "schema" after the \?; expected one of host/],
  ["postgres://h/d?sslmode", /not of the form name=value/],
  [
    "postgres://h/d?sslmode=verify-full&sslrootcert=/nonexistent",
    /sslrootcert names a file that can't be read \(ENOENT\)/,
  ],
  ["postgres://a,b,c/d?port=1,2", /2 ports for 3 hosts/],
] as const)
  test(`says what is wrong with ${url}`, (t) => {
    t.regex(t.throws(() => read(url), { instanceOf: WrongDatabaseUrl }).message, words);
  });

test("no error shows a part of a password, however it was written", (t) => {
  const sign = fc.constantFrom("@", "/", ":", "%", "?", "#", "[", "]", "&", "=", ",", "x");
  const secret = fc.tuple(fc.array(sign), fc.array(sign)).map(([a, b]) => `${a.join("")}SECRET${b.join("")}`);
  fc.assert(
    fc.property(secret, fc.constantFrom("h", "h:port", "h/d?sslmode=no"), (password, rest) => {
      try {
        read(`postgres://me:${password}@${rest}`);
      } catch (error) {
        t.true(error instanceof WrongDatabaseUrl);
        t.false((error as Error).message.includes("SECRET"), (error as Error).message);
      }
    }),
  );
});
