import { v7 as uuidv7 } from "uuid";
import { AlreadyExists } from "../../domain/faults.ts";
import { checkHandle, deriveHandle } from "../../domain/program/handle.ts";
import { definePipeline } from "../../domain/program/pipeline.ts";
import { type Definition, dspyProgramId } from "../../domain/program/program.ts";
import type { Program } from "../../domain/program/revision.ts";
import { type RequestKey, requestKey } from "../../domain/request.ts";
import { createViolations } from "../../domain/violations.ts";
import type { ProgramDraft, ProgramStore } from "../../store/programs/programs.ts";
import type { SignatureStore } from "../../store/programs/signatures.ts";
import { once } from "../once.ts";
import type { createCapabilities } from "./capabilities.ts";
import { type CallerProgram, checkTextParts, signatureOf, sortWires } from "./define.ts";

type Deps = {
  programs: ProgramStore;
  signatures: SignatureStore;
  capabilitiesFor: ReturnType<typeof createCapabilities>;
};

const handleAttempts = 50;

/** Registers a program: finds or creates its signature, checks its wiring, makes revision 1. */
export function createCreateProgram({ programs, signatures, capabilitiesFor }: Deps) {
  return async function createProgram(
    project: string,
    callerProgram: CallerProgram,
    requestId: string,
    validateOnly: boolean,
  ): Promise<Program> {
    const requestIdKey = requestKey("create program", requestId, sortWires(callerProgram), callerProgram);
    const { program } = await once(
      requestIdKey,
      ({ id }) => programs.findByRequest(project, id),
      async () => {
        const draft = await define(project, callerProgram);
        return validateOnly
          ? { program: preview(draft) }
          : register(project, draft, requestIdKey, callerProgram.handle !== "");
      },
    );
    return program;
  };

  /**
   * Records a program. If a derived handle is taken, tries the handle with a number. Undefined if
   * the request_id is taken.
   */
  async function register(
    project: string,
    draft: Omit<ProgramDraft, "request">,
    requestIdKey: RequestKey | null,
    isHandleChosen: boolean,
  ): Promise<{ program: Program } | undefined> {
    const base = draft.handle;
    for (let attempt = 1; attempt <= handleAttempts; attempt++) {
      const handle =
        attempt === 1 ? base : `${base.slice(0, 55)}-${attempt < 10 ? attempt : uuidv7().slice(-6)}`;
      const result = await programs.create(project, { ...draft, handle, request: requestIdKey });
      if (result === "created") return { program: await programs.get(project, draft.id) };
      if (result === "request_id taken") return undefined;
      if (!isHandleChosen) continue;
      // A twin with the same request_id may hold the handle: PostgreSQL names one of two taken
      // keys.
      if (requestIdKey && (await programs.findByRequest(project, requestIdKey.id))) return undefined;
      throw new AlreadyExists(`a program with the handle ${JSON.stringify(handle)} already exists`);
    }
    throw new AlreadyExists(
      `the handle ${JSON.stringify(base)} and ${handleAttempts - 1} variants of it are taken; set program.handle`,
    );
  }

  /** Collects the violations of all parts before it throws. */
  async function define(
    project: string,
    callerProgram: CallerProgram,
  ): Promise<Omit<ProgramDraft, "request">> {
    const { name, description, labels, handle, modules, lm } = callerProgram;
    const v = createViolations();
    checkTextParts(callerProgram, v.at("program"));
    if (handle !== "") checkHandle(handle, v.at("program", "handle"));
    const signature = await v.try(() => signatureOf(signatures, project, callerProgram));
    const capabilities = await capabilitiesFor(modules);
    const pipeline =
      signature && v.try(() => definePipeline(signature, modules, lm, capabilities, "program"));
    if (!signature || !pipeline || v.count > 0) throw v.fault("PROGRAM_INVALID");
    const definition: Definition = { signature, ...pipeline, compiledState: "" };
    return {
      id: uuidv7(),
      handle: handle || deriveHandle(name),
      name,
      description,
      labels,
      revision: {
        origin: "created",
        status: "draft",
        definition,
        dspyProgramId: dspyProgramId(definition),
        score: null,
      },
    };
  }
}

/** The answer to validate_only: the program as it would be created. */
function preview({ revision, ...program }: Omit<ProgramDraft, "request">): Program {
  const now = new Date();
  const newest = {
    optimizationId: null,
    errorReason: "",
    errorMessage: "",
    ...revision,
    programId: program.id,
    number: 1,
    signatureId: "",
    signatureVersion: 0,
    createdAt: now,
  };
  return { ...program, deployedRevision: null, etag: "", newest, createdAt: now, updatedAt: now };
}
