import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { goPrograms } from "./environments.ts";
import { createLoad } from "./load.ts";
import { createMeasure } from "./measure.ts";
import { type Model, startModel } from "./model.ts";

/** The parts of every bench: the model, the load generator, and a temporary folder. */
export type Rig = {
  readonly scratch: string;
  readonly model: Model;
  readonly load: ReturnType<typeof createLoad>;
  readonly measure: ReturnType<typeof createMeasure>;
  /** Path of the bare Go server. */
  readonly floor: string;
};

/** Sets up the rig, runs the bench on it, and removes it. */
export async function withRig(work: (rig: Rig) => Promise<void>): Promise<void> {
  const programs = goPrograms();
  const scratch = mkdtempSync(join(tmpdir(), "sigrun-bench-"));
  try {
    const model = await startModel({ program: programs.model, scratch });
    const load = createLoad({ program: programs.load, scratch });
    try {
      await work({ scratch, model, load, measure: createMeasure({ load, model }), floor: programs.floor });
    } finally {
      await model.stop();
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
