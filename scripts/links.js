// Checks that the files and headings that the docs name exist.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { root } from "./setup.js";

const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .trim()
  .split("\n");
const docs = tracked.filter((file) => file.endsWith(".md"));
/** Files that the docs name but the repository does not hold. */
const foreignFiles = ["x.json"];

const textOf = (file) => readFileSync(join(root, file), "utf8").replaceAll(/^```.*?^```/gms, "");

/** A heading's anchor, as GitHub makes it. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
const anchorsOf = (file) => [...textOf(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));

/** Whether a file or a folder of this name, or ending in this path, is tracked. */
const isTracked = (path) =>
  tracked.some((file) => file === path || file.endsWith(`/${path}`) || `/${file}`.includes(`/${path}/`));

function* faults(file) {
  const text = textOf(file);
  for (const [, target] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
    const [path, anchor] = target.split("#");
    const linked = path === "" ? file : normalize(join(dirname(file), path));
    if (!isTracked(linked)) yield `no file ${target}`;
    else if (anchor && !anchorsOf(linked).includes(anchor)) yield `no heading ${target}`;
  }
  for (const [, path] of text.matchAll(/`((?:[\w.-]+\/)*[\w-]+\.(?:ts|js|py|proto|json|md|sh))`/g))
    if (!isTracked(path) && !foreignFiles.includes(path)) yield `no file ${path}`;
}

const found = docs.flatMap((file) => [...faults(file)].map((fault) => `${file}: ${fault}`));
for (const fault of found) console.log(fault);
process.exit(found.length === 0 ? 0 : 1);
