import type { Sidecar } from "../../dspy/client.ts";
import type { Store } from "../../store/store.ts";
import { createBuild } from "./build.ts";
import { createCapabilities } from "./capabilities.ts";
import { createCompileProgram } from "./compile.ts";
import { createCreateProgram } from "./create.ts";
import { createDeploy } from "./deploy.ts";
import { createExportProgram } from "./export.ts";
import { createGetProgram } from "./get.ts";
import { createImportState } from "./import.ts";
import { createListPrograms } from "./list.ts";
import { createRevisions } from "./revisions.ts";
import { createUpdateProgram } from "./update.ts";

type Deps = {
  store: Store;
  sidecar: Sidecar;
  allowedModels: readonly string[];
  generatedCode: boolean;
};

export type ProgramActions = ReturnType<typeof createProgramActions>;

export function createProgramActions({ store, sidecar, allowedModels, generatedCode }: Deps) {
  const { programs, revisions, changes, signatures, performances } = store;
  const capabilitiesFor = createCapabilities({ sidecar, allowedModels, generatedCode });
  return {
    createProgram: createCreateProgram({ programs, signatures, capabilitiesFor }),
    getProgram: createGetProgram({ programs, performances }),
    listPrograms: createListPrograms({ programs, performances }),
    updateProgram: createUpdateProgram({ programs, changes, signatures, capabilitiesFor }),
    deleteProgram: changes.remove,
    compileProgram: createCompileProgram({ programs, build: createBuild({ revisions, sidecar }) }),
    importProgramState: createImportState({ programs, revisions, changes, sidecar }),
    exportProgram: createExportProgram({ programs, sidecar }),
    ...createDeploy({ changes }),
    ...createRevisions({ programs, revisions, changes }),
  };
}
