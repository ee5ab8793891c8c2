import { EtagMismatch, Invalid } from "../../domain/faults.ts";
import { canonicalJson } from "../../domain/json.ts";
import { programStep } from "../../domain/lifecycle.ts";
import type { Offer } from "../../domain/program/capabilities.ts";
import { definePipeline } from "../../domain/program/pipeline.ts";
import { type Definition, dspyProgramId } from "../../domain/program/program.ts";
import { redraftModules } from "../../domain/program/redraft.ts";
import type { Program, Revision } from "../../domain/program/revision.ts";
import type { Signature } from "../../domain/signature/signature.ts";
import { createViolations } from "../../domain/violations.ts";
import type { ProgramChange, ProgramChanges } from "../../store/programs/changes.ts";
import type { ProgramStore } from "../../store/programs/programs.ts";
import type { RevisionDraft } from "../../store/programs/revisions.ts";
import type { SignatureStore } from "../../store/programs/signatures.ts";
import type { createCapabilities } from "./capabilities.ts";
import { type CallerProgram, checkTextParts, signatureOf } from "./define.ts";

const updatable = ["name", "description", "labels", "signature", "signature_id", "modules", "lm"] as const;
type Part = (typeof updatable)[number];

export type ProgramUpdate = {
  /** UUID or handle. */
  readonly id: string;
  readonly etag: string;
  readonly program: CallerProgram;
  /** Empty: the parts that are set. */
  readonly mask: readonly string[];
  readonly validateOnly: boolean;
};

type Deps = {
  programs: ProgramStore;
  changes: ProgramChanges;
  signatures: SignatureStore;
  capabilitiesFor: ReturnType<typeof createCapabilities>;
};

/** Updates a program. A change of its signature, modules or lm makes a new revision, a draft. */
export function createUpdateProgram({ programs, changes, signatures, capabilitiesFor }: Deps) {
  return async function updateProgram(
    project: string,
    { id, etag, program: callerProgram, mask, validateOnly }: ProgramUpdate,
  ): Promise<Program> {
    const parts = partsOf(callerProgram, mask);
    const has = (part: Part) => parts.includes(part);
    const textParts = {
      ...(has("name") && { name: callerProgram.name }),
      ...(has("description") && { description: callerProgram.description }),
      ...(has("labels") && { labels: callerProgram.labels }),
    };
    const v = createViolations("program");
    checkTextParts(textParts, v);
    v.throwIfAny("PROGRAM_INVALID");
    // Asked before the row is locked. Modules that do not change were checked when they were set.
    const capabilities = await capabilitiesFor(has("modules") ? callerProgram.modules : []);
    const signature =
      has("signature") || has("signature_id")
        ? await signatureOf(signatures, project, callerProgram)
        : undefined;

    function decide(program: Program): ProgramChange | undefined {
      if (callerProgram.handle !== "" && callerProgram.handle !== program.handle)
        throw refusal("program.handle", "can't be changed");
      const revision =
        signature || has("modules") || has("lm")
          ? revise(program.newest, callerProgram, has, capabilities, signature)
          : undefined;
      const isChanged =
        revision ||
        Object.entries(textParts).some(
          ([part, value]) => canonicalJson(value) !== canonicalJson(program[part as keyof Program]),
        );
      return isChanged ? { ...textParts, ...(revision && { revision }) } : undefined;
    }

    if (validateOnly) return preview(await programs.get(project, id), etag, decide);
    const changed = await changes.change(project, id, etag, async (program) => decide(program));
    return changed ?? programs.get(project, id);
  };

  /** The new revision; undefined if it would equal the newest one. */
  function revise(
    newest: Revision,
    callerProgram: CallerProgram,
    has: (part: Part) => boolean,
    capabilities: Offer,
    newSignature?: Signature,
  ): RevisionDraft | undefined {
    const signature = newSignature ?? newest.definition.signature;
    const drafts = has("modules") ? callerProgram.modules : redraftModules(newest.definition);
    const lm = has("lm") ? callerProgram.lm : newest.definition.lm;
    const pipeline = definePipeline(signature, drafts, lm, capabilities, "program");
    // A compiled state fits only its signature and modules. The model may change.
    const isSameProgram =
      canonicalJson([signature, pipeline.modules]) ===
      canonicalJson([newest.definition.signature, newest.definition.modules]);
    const definition: Definition = {
      signature,
      ...pipeline,
      compiledState: isSameProgram ? newest.definition.compiledState : "",
    };
    const id = dspyProgramId(definition);
    if (id === newest.dspyProgramId) return undefined;
    return {
      origin: "updated",
      status: programStep("update").to as Revision["status"],
      definition,
      dspyProgramId: id,
      score: null,
    };
  }
}

/** The parts that the mask names; without a mask, the parts that are set. */
function partsOf(callerProgram: CallerProgram, mask: readonly string[]): readonly Part[] {
  const v = createViolations("update_mask.paths");
  for (const [index, path] of mask.entries())
    if (path !== "*" && !updatable.includes(path as Part)) {
      const description = `${JSON.stringify(path)} can't be updated; expected one of ${updatable.join(", ")}`;
      v.add(index, description, "unknown");
    }
  v.throwIfAny("REQUEST_INVALID");
  if (mask.includes("*")) return updatable;
  if (mask.length > 0) return mask as readonly Part[];
  const isSet: Record<Part, boolean> = {
    name: callerProgram.name !== "",
    description: callerProgram.description !== "",
    labels: Object.keys(callerProgram.labels).length > 0,
    signature: callerProgram.signature !== undefined,
    signature_id: callerProgram.signatureId !== "",
    modules: callerProgram.modules.length > 0,
    lm: Object.keys(callerProgram.lm).length > 0,
  };
  return updatable.filter((part) => isSet[part]);
}

const refusal = (field: string, description: string) =>
  Invalid.at("PROGRAM_INVALID", field, description, "conflict");

/** The answer to validate_only: the program as it would be after the update. */
function preview(
  program: Program,
  etag: string,
  decide: (program: Program) => ProgramChange | undefined,
): Program {
  if (etag !== "" && etag !== program.etag) throw new EtagMismatch("program", program.id);
  const { revision, ...change } = decide(program) ?? {};
  if (!revision) return { ...program, ...change } as Program;
  const { id: programId, newest } = program;
  const next = {
    optimizationId: null,
    errorReason: "",
    errorMessage: "",
    ...revision,
    programId,
    number: newest.number + 1,
    signatureId: "",
    signatureVersion: 0,
    createdAt: new Date(),
  };
  return { ...program, ...change, newest: next } as Program;
}
