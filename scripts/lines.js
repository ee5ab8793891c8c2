// Holds the lines of the project: one sentence a line in Markdown, comments of at most 100 columns.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./setup.js";

const maxComment = 100;
const maxProto = 110;
/** biome breaks code at 110 columns. Only texts stay longer: strings, templates and patterns. */
const maxText = 160;

const sentenceEnd = /[.!?]["')*]*$/;
const twoSentences = /[^\s.][.!?]["')*]*\s+\S/;
const abbreviations = /\b(?:e\.g|i\.e|vs|etc)\./g;
const listItem = /^\s*(?:[-*]|\d+\.)\s+/;
const noProse = /^\s*(?:#|\||<!--|$)/;

/** Lines of Markdown that hold two sentences, or that break a sentence. */
function* proseFaults(lines) {
  let isCode = false;
  let before = "";
  for (const [index, line] of lines.entries()) {
    const isFence = /^\s*```/.test(line);
    if (isFence) isCode = !isCode;
    if (isFence || isCode || noProse.test(line)) {
      before = "";
      continue;
    }
    const sentence = line
      .replace(listItem, "")
      .replaceAll(/`[^`]*`/g, "code")
      .replaceAll(abbreviations, "")
      .trim();
    if (listItem.test(line)) before = "";
    if (before && !sentenceEnd.test(before)) yield [index, "a sentence is broken over two lines"];
    if (twoSentences.test(sentence)) yield [index + 1, "two sentences stand on one line"];
    before = sentence;
  }
}

/** Lines of TypeScript, JavaScript, protobuf or Python that are too long. */
function* lengthFaults(lines, file) {
  const comment = file.endsWith(".py") ? /^\s*(?:#|""")/ : /^\s*(?:\/\/|\/\*|\*)/;
  const maxCode = file.endsWith(".proto") ? maxProto : maxText;
  for (const [index, line] of lines.entries()) {
    const max = comment.test(line) ? maxComment : maxCode;
    if (line.length > max) yield [index + 1, `${line.length} columns; at most ${max}`];
  }
}

const tracked = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => /\.(?:md|ts|js|proto|py)$/.test(file))
  .filter((file) => !/^(?:src|sidecar)\/gen\//.test(file));

let faults = 0;
for (const file of tracked) {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  for (const [line, what] of file.endsWith(".md") ? proseFaults(lines) : lengthFaults(lines, file)) {
    console.log(`${file}:${line}: ${what}`);
    faults += 1;
  }
}
process.exit(faults === 0 ? 0 : 1);
