/**
 * The maximum size of every part of a request, in one table; docs/limits.md shows it. A message has
 * at most 4 MiB, and these bounds keep the work for such a message below 100 ms at a time.
 */

/** Maximum lengths of texts, in UTF-16 units, or in code points if the comment says so. */
export const maxCharacters = {
  /** UUIDs and handles; a longer one belongs to nothing. */
  id: 128,
  etag: 128,
  /** Names of programs, in code points. */
  name: 200,
  signatureName: 200,
  fieldName: 63,
  description: 10_000,
  instructions: 100_000,
  /** A signature in DSPy's notation. */
  signatureText: 300_000,
  type: 2_000,
  pattern: 1_000,
  labelKey: 63,
  /** In code points. */
  labelValue: 256,
  model: 200,
  filter: 16_384,
  orderBy: 1_024,
  pageToken: 262_144,
  resumeToken: 65_536,
  maskPath: 1_024,
  errorMessage: 10_000,
  errorReason: 63,
  /** The state of a program is bounded by the message alone. */
  compiledState: 4 * 2 ** 20,
} as const;

/** Maximum numbers of elements. */
export const maxElements = {
  /** Items of a batch, and examples of a data set. */
  items: 10_000,
  modules: 50,
  /** Inputs and outputs of a signature together. */
  fields: 100,
  metrics: 20,
  labels: 64,
  /** Fields of order_by, distinct_on and group_by. */
  terms: 8,
  /** Any other list or map of a message. */
  others: 1_000,
} as const;

/** Maximum numbers of the JSON values in one message: inputs, outputs, examples, params. */
export const maxValues = {
  /** Objects, lists and members of objects together. */
  parts: 50_000,
  /** Members of one object. */
  members: 5_000,
  /** Elements of lists together. */
  elements: 100_000,
} as const;

/** True if a text has more code points than the maximum. Far too long a text is not read. */
export function isLonger(text: string, maximum: number): boolean {
  return text.length > maximum && (text.length > 2 * maximum || codePoints(text) > maximum);
}

/** The length of a text in code points: a surrogate pair is one. */
export function codePoints(text: string): number {
  let pairs = 0;
  for (let at = 1; at < text.length; at++)
    if ((text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800) pairs++;
  return text.length - pairs;
}
