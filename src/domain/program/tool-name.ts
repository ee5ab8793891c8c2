/**
 * Reads "server.tool as name" or "server.tool": the tool's name in ListTools, and the one that the
 * model reads. The sidecar reads it alike.
 */
export function readToolName(tool: string): { readonly name: string; readonly shown: string } {
  const [name = "", ...aliases] = tool.split(" as ");
  return { name, shown: aliases.length > 0 ? aliases.join(" as ") : name };
}
