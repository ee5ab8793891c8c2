// What DSPy's runner imports from a site that may be out of reach.

/** The lines that a reader gives, without their ends. */
export async function* readLines(reader) {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let begun = "";
  for (let count = await reader.read(buffer); count !== null; count = await reader.read(buffer)) {
    const lines = (begun + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    begun = lines.pop();
    yield* lines;
  }
  if (begun !== "") yield begun;
}
