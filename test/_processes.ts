import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** On Linux, the id and command of each process with the text in environment, command or folder. */
export function processesWith(text: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!/^\d+$/.test(name) || pid === process.pid) continue;
    const isFound =
      read(() => readFileSync(`/proc/${name}/environ`, "latin1")).includes(text) ||
      commandOf(pid).includes(text) ||
      // PostgreSQL overwrites its environment, but its working folder is that of the database.
      read(() => readlinkSync(`/proc/${name}/cwd`)).includes(text);
    if (isFound) found.set(pid, commandOf(pid));
  }
  return found;
}

/** On Linux, the descendants of a process whose command or name contains the text. */
export function descendantsWith(pid: number | undefined, text: string): number[] {
  const threads = read(() => readdirSync(`/proc/${pid}/task`).join(" "));
  const children = threads
    .split(" ")
    .flatMap((thread) => read(() => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8")).split(" "))
    .filter(Boolean)
    .map(Number);
  return children.flatMap((child) => [
    ...([commandOf(child), nameOf(child)].some((named) => named.includes(text)) ? [child] : []),
    ...descendantsWith(child, text),
  ]);
}

const commandOf = (pid: number) =>
  read(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"))
    .replaceAll("\0", " ")
    .trim();

/** The process's own name, as ps shows it. */
const nameOf = (pid: number) => read(() => readFileSync(`/proc/${pid}/comm`, "utf8"));

/** Empty if the process has ended. */
function read(file: () => string): string {
  try {
    return file();
  } catch {
    return "";
  }
}
