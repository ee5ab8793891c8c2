import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** On Linux, the id and command of each process with the text in environment, command or folder. */
export function processesWith(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const command = read(() => readFileSync(`/proc/${name}/cmdline`, "utf8")).replaceAll("\0", " ");
    const environment = read(() => readFileSync(`/proc/${name}/environ`, "latin1"));
    // PostgreSQL's processes write over their environment; their folder is the database's.
    const folder = read(() => readlinkSync(`/proc/${name}/cwd`));
    if ([command, environment, folder].some((part) => part.includes(text)))
      found.set(Number(name), command.trim());
  }
  return found;
}

/** Empty for what has ended meanwhile. */
function read(what: () => string): string {
  try {
    return what();
  } catch {
    return "";
  }
}
