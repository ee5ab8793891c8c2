// What DSPy's runner imports as npm:pyodide: the installed package, so that nothing is fetched
// when code runs.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { loadPyodide } from "./node_modules/pyodide/pyodide.mjs";

const folder = fileURLToPath(new URL("./node_modules/pyodide/", import.meta.url));

/** Pyodide finds its files by these two under Node; code that it runs later must not. */
async function load() {
  globalThis.require = createRequire(import.meta.url);
  globalThis.__dirname = folder;
  const pyodide = await loadPyodide({ indexURL: folder });
  delete globalThis.require;
  delete globalThis.__dirname;
  return pyodide;
}

export default { loadPyodide: load };
