// Runs a command, and kills it with all of its processes when stdin ends: when its parent dies.
// The parent makes this process the leader of a process group.
import { spawn } from "node:child_process";

const [command, ...args] = process.argv.slice(2);
const child = spawn(command, args, { stdio: ["ignore", "inherit", "inherit"] });
child.on("error", (error) => {
  console.error(error.message);
  process.exit(127);
});
child.on("exit", (code) => process.exit(code ?? 1));
process.stdin.on("end", () => process.kill(-process.pid, "SIGKILL")).resume();
