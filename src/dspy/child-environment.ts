/** The gateway's own variables: its database, keys and certificates. A name, or its beginning. */
const gatewayOnly = [
  "DATABASE_URL",
  "PG*",
  "SIGRUN_DATABASE_*",
  "SIGRUN_BOOTSTRAP_KEY_FILE",
  "SIGRUN_TLS_*",
  "SIGRUN_JWT_*",
] as const;

/** The environment of the sidecar: every variable but the gateway's own, and these. */
export function childEnvironment(
  env: NodeJS.ProcessEnv,
  more: Readonly<Record<string, string>>,
): NodeJS.ProcessEnv {
  const isOwn = (name: string) =>
    gatewayOnly.some((own) => (own.endsWith("*") ? name.startsWith(own.slice(0, -1)) : name === own));
  return { ...Object.fromEntries(Object.entries(env).filter(([name]) => !isOwn(name))), ...more };
}
