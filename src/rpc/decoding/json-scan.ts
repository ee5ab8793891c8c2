import type { DescMessage } from "@bufbuild/protobuf";
import { createValueCount } from "./value-count.ts";

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openObject, closeObject, openList, closeList] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * Refuses JSON of too many values before it is parsed, which takes 100 times as long as this.
 * Malformed JSON passes: the parser refuses it.
 */
export function scanJson(type: DescMessage, bytes: Uint8Array): void {
  let nameStart = 0;
  let nameEnd = 0;
  const count = createValueCount(() => memberNamed(type, bytes.subarray(nameStart + 1, nameEnd)));
  /** Of each open object, its members so far; of each open list, -1. */
  const open: number[] = [];
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case quote: {
        const start = at;
        while (++at < bytes.length && bytes[at] !== quote) if (bytes[at] === backslash) at++;
        // A text of the outermost object: the name of a member, or its value.
        if (open.length === 1 && isName(bytes, at + 1)) [nameStart, nameEnd] = [start, at];
        break;
      }
      case openObject:
      case openList:
        open.push(bytes[at] === openList ? -1 : 1);
        count.part();
        break;
      case closeObject:
      case closeList:
        open.pop();
        break;
      case comma: {
        const members = open[open.length - 1] ?? -1;
        if (members < 0) count.element();
        else {
          open[open.length - 1] = members + 1;
          count.member(members + 1);
        }
      }
    }
  }
}

/** Whether a colon follows. */
function isName(bytes: Uint8Array, from: number): boolean {
  let at = from;
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return bytes[at] === 0x3a;
}

function memberNamed(type: DescMessage, bytes: Uint8Array): string {
  const name = new TextDecoder().decode(bytes.subarray(0, 200));
  return type.fields.find((field) => field.jsonName === name || field.name === name)?.name ?? "request";
}
