import { readSites, type Site } from "./_sites.ts";

export const allSites = readSites();

const socketError = allSites.find(
  ({ file, event }) => file === "src/rpc/server/port.ts" && event === "error",
);
/** Sites of the whole gateway in src/rpc: the listening socket and the drain. */
const isOfGateway = (site: Site) =>
  site.file === "src/rpc/server/port.ts" &&
  (["setTimeout", "drop"].includes(site.event) || (site.event === "error" && site !== socketError));
/** Sites of one connection, whose errors end that connection alone. */
export const connectionSites = allSites
  .filter((site) => site.file.startsWith("src/rpc/") && !isOfGateway(site))
  .map(({ id }) => id);

/** Sites in these files and folders of src whose errors end the gateway. */
const gatewaySites = (...places: string[]): string[] =>
  allSites
    .map(({ id }) => id)
    .filter((id) => !connectionSites.includes(id) && places.some((place) => id.startsWith(`src/${place}`)));
const first = (ids: string[], place: string): string => {
  const [id] = ids;
  if (id === undefined) throw new Error(`src/${place} has no such timer or listener`);
  return id;
};

const portSites = gatewaySites("rpc/server/port.ts");
const [killTimer = "", ...superviseSites] = gatewaySites("supervise.ts");
const [unaryAbort = "", streamAbort = ""] = gatewaySites("dspy/channel.ts");

/** Sites that need a situation of their own. */
export const specialSites = {
  /** Keeps a run that another gateway waits for. */
  keptRun: first(gatewaySites("actions/executions/in-flight.ts"), "actions/executions/in-flight.ts"),
  unaryAbort,
  streamAbort,
  listening: first(
    portSites.filter((id) => id.includes("error")),
    "rpc/server/port.ts",
  ),
  drain: [...portSites.filter((id) => id.includes("setTimeout")), killTimer],
  children: superviseSites,
  postgres: gatewaySites("store/postgres.ts"),
};
const special = new Set(Object.values(specialSites).flat());

/** All other sites of the gateway; each group throws in one gateway. */
export const siteGroups = [
  gatewaySites("actions/", "rpc/"),
  gatewaySites("jobs/", "main.ts", "readiness.ts", "shutdown.ts"),
  gatewaySites("dspy/", "heartbeat.ts"),
  gatewaySites("store/"),
].map((ids) => ids.filter((id) => !special.has(id)));

/** Sites that no group covers. */
export const uncoveredSites = (): string[] => {
  const covered = new Set([...connectionSites, ...siteGroups.flat(), ...special]);
  return allSites.map(({ id }) => id).filter((id) => !covered.has(id));
};
