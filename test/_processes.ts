import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** On Linux, the id and command of each process with the text in environment, command or folder. */
export function processesWith(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const command = read(() => readFileSync(`/proc/${name}/cmdline`, "utf8")).replaceAll("\0", " ");
    const environment = read(() => readFileSync(`/proc/${name}/environ`, "latin1"));
    // PostgreSQL overwrites its environment, but its working folder is that of the database.
    const folder = read(() => readlinkSync(`/proc/${name}/cwd`));
    if ([command, environment, folder].some((part) => part.includes(text)))
      found.set(Number(name), command.trim());
  }
  return found;
}

/** Empty if the process has ended. */
function read(file: () => string): string {
  try {
    return file();
  } catch {
    return "";
  }
}
