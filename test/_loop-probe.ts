// Loaded into a gateway by NODE_OPTIONS: answers the longest time, in milliseconds, for which its
// event loop has held a timer since the last question. A process that waits for a core holds no
// timer itself, so a gap counts as at most the CPU time that the process used in it.
const everyMs = 2;
let longest = 0;
let last = performance.now();
let lastCpu = process.cpuUsage();

setInterval(() => {
  const now = performance.now();
  const { user, system } = process.cpuUsage(lastCpu);
  longest = Math.max(longest, Math.min(now - last - everyMs, (user + system) / 1000));
  last = now;
  lastCpu = process.cpuUsage();
}, everyMs).unref();

process.on("message", (question) => {
  if (question !== "longest block") return;
  process.send?.({ longestBlockMs: longest });
  longest = 0;
});
