// npm run bench:block prints how long the worst requests of 4 MiB hold the gateway's event loop.
import { startBlockMeter } from "../test/_blocks.ts";
import { largeRequests } from "../test/_large-requests.ts";

const goalMs = 100;
const shown = 40;

console.log("This takes about 5 minutes.");
const ends: (() => unknown)[] = [];
const meter = await startBlockMeter({ teardown: (end) => void ends.unshift(end) });
try {
  const lines: { ms: number; text: string }[] = [];
  for (const request of largeRequests())
    for (const format of ["json", "proto"] as const) {
      const block = await meter.send(request, format);
      if (!block) continue;
      const { ms, answer, bytes } = block;
      const what = `${request.method.name}, ${format}, ${(bytes / 1e6).toFixed(1)} MB: ${request.name}`;
      if (process.argv.includes("--all")) console.log(ms.toFixed(0), what, answer);
      lines.push({ ms, text: `${ms.toFixed(0).padStart(6)} ms  ${what} (${answer})` });
    }
  lines.sort((one, other) => other.ms - one.ms);
  for (const { text } of lines.slice(0, shown)) console.log(text);
  const longest = lines[0]?.ms ?? 0;
  const verdict = longest <= goalMs ? "met" : "not met";
  console.log(
    `\nlongest of ${lines.length} requests: ${longest.toFixed(0)} ms (goal: at most ${goalMs} ms, ${verdict})`,
  );
} finally {
  for (const end of ends) await end();
}
