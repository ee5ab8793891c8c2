import { once } from "node:events";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const name = /^sigrun-sockets-(\d+)-\w+$/;
/** A younger folder may be of a gateway that starts in a container, unseen from here. */
const minAgeMs = 60_000;

/**
 * Makes a folder for the sidecar's sockets that only this user can open. Its name has the id of
 * this process. Removes the folders of gateways that were killed.
 */
export async function makeSocketFolder(): Promise<string> {
  for (const entry of await readdir(tmpdir())) {
    const pid = Number(name.exec(entry)?.[1]);
    if (pid > 0) await removeAbandoned(join(tmpdir(), entry), pid).catch(() => {});
  }
  return mkdtemp(join(tmpdir(), `sigrun-sockets-${process.pid}-`));
}

async function removeAbandoned(folder: string, pid: number): Promise<void> {
  const { uid, mtimeMs } = await stat(folder);
  if (uid !== process.getuid?.() || Date.now() - mtimeMs < minAgeMs) return;
  // In a container each gateway may get the same id.
  if (pid !== process.pid && isAlive(pid)) return;
  for (const file of await readdir(folder)) if (await accepts(join(folder, file))) return;
  await rm(folder, { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Whether a process listens at a socket. */
async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
