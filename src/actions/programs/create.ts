import { createHash } from "node:crypto";
import { v7 as uuidv7 } from "uuid";
import { AlreadyExists, Invalid, RequestIdReused, type Violation } from "../../domain/faults.ts";
import { checkHandle, deriveHandle } from "../../domain/handle.ts";
import { canonicalJson, textFault } from "../../domain/json.ts";
import { type Labels, labelViolations } from "../../domain/labels.ts";
import { definePipeline, type ModuleDraft } from "../../domain/pipeline.ts";
import { type Definition, dspyProgramId, type LmSettings } from "../../domain/program.ts";
import type { Program } from "../../domain/revision.ts";
import { defineSignature, type Signature, type SignatureDraft, signatureHash } from "../../domain/signature.ts";
import { checkUuid, isUuid } from "../../domain/uuid.ts";
import type { ProgramDraft, ProgramStore } from "../../store/programs.ts";
import type { SignatureStore } from "../../store/signatures.ts";

/** A program as a caller writes it. */
export type CallerProgram = {
  readonly name: string;
  readonly description: string;
  readonly handle: string;
  readonly labels: Labels;
  readonly signatureId: string;
  readonly signature: SignatureDraft | undefined;
  readonly modules: readonly ModuleDraft[];
  readonly lm: LmSettings;
};

type Deps = { programs: ProgramStore; signatures: SignatureStore; allowedModels: readonly string[] };

const longestName = 200;
const longestDescription = 10_000;
const handleAttempts = 50;

/** Registers a program: its signature found or created, its wiring checked, revision 1 a draft. */
export function createCreateProgram({ programs, signatures, allowedModels }: Deps) {
  return async function createProgram(project: string, asked: CallerProgram, requestId: string, validateOnly: boolean): Promise<Program> {
    checkUuid(requestId, "request_id");
    const request = requestId === "" ? null : { id: requestId, hash: createHash("sha256").update(canonicalJson(asked)).digest("hex") };
    const earlier = request && (await replay(project, request));
    if (earlier) return earlier;

    const draft = await define(project, asked);
    if (validateOnly) return unwritten(draft);
    const base = draft.handle;
    for (let attempt = 1; attempt <= handleAttempts; attempt++) {
      const handle = attempt === 1 ? base : `${base.slice(0, 55)}-${attempt < 10 ? attempt : uuidv7().slice(-6)}`;
      const result = await programs.create(project, { ...draft, handle, request });
      if (result === "created") return programs.get(project, draft.id);
      if (result === "request_id taken") return createProgram(project, asked, requestId, validateOnly);
      if (asked.handle !== "") throw new AlreadyExists(`a program with the handle ${JSON.stringify(handle)} exists`);
    }
    throw new AlreadyExists(`programs with handles like ${JSON.stringify(base)} exist; choose a handle`);
  };

  async function replay(project: string, request: { id: string; hash: string }): Promise<Program | undefined> {
    const found = await programs.findByRequest(project, request.id);
    if (found && found.hash !== request.hash) throw new RequestIdReused(request.id);
    return found?.program;
  }

  /** Collects what is wrong in every part before it refuses. */
  async function define(project: string, asked: CallerProgram): Promise<Omit<ProgramDraft, "request">> {
    const violations: Violation[] = [
      ...textViolations(asked.name, "program.name", 1, longestName),
      ...textViolations(asked.description, "program.description", 0, longestDescription),
      ...labelViolations(asked.labels, "program.labels"),
      ...(asked.handle === "" ? [] : checkHandle(asked.handle, "program.handle")),
    ];
    const signature = await collect(violations, () => signatureOf(project, asked));
    const pipeline =
      signature &&
      (await collect(violations, async () => definePipeline(signature, asked.modules, asked.lm, { allowedModels }, "program")));
    if (!signature || !pipeline || violations.length > 0) throw new Invalid("PROGRAM_INVALID", violations);
    const definition: Definition = { signature, ...pipeline, compiledState: "" };
    return {
      id: uuidv7(),
      handle: asked.handle || deriveHandle(asked.name),
      name: asked.name,
      description: asked.description,
      labels: asked.labels,
      revision: { origin: "created", status: "draft", definition, dspyProgramId: dspyProgramId(definition), score: null },
    };
  }

  async function signatureOf(project: string, { signatureId, signature }: CallerProgram): Promise<Signature> {
    const refuse = (field: string, description: string, reason: string) => new Invalid("PROGRAM_INVALID", [{ field, description, reason }]);
    if (signatureId !== "" && !isUuid(signatureId)) throw refuse("program.signature_id", "must be a UUID", "type");
    if (signatureId === "" && !signature) throw refuse("program.signature", "is missing: send a signature or a signature_id", "missing");
    const defined = signature && defineSignature(signature, "program.signature");
    if (signatureId === "") return defined as Signature;
    const stored = await signatures.get(project, { id: signatureId });
    if (defined && signatureHash(defined) !== signatureHash(stored))
      throw refuse("program.signature_id", "names another signature than the one beside it", "conflict");
    return stored;
  }
}

async function collect<T>(violations: Violation[], define: () => Promise<T>): Promise<T | undefined> {
  try {
    return await define();
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    violations.push(...error.violations);
    return undefined;
  }
}

function textViolations(text: string, field: string, shortest: number, longest: number): Violation[] {
  if (text.length < shortest) return [{ field, description: "is missing", reason: "missing" }];
  if ([...text].length > longest) return [{ field, description: `is longer than ${longest} characters`, reason: "length" }];
  const fault = textFault(text);
  return fault ? [{ field, description: fault, reason: "text" }] : [];
}

/** What validate_only shows: the program as it would be. */
function unwritten({ revision, ...program }: Omit<ProgramDraft, "request">): Program {
  const now = new Date();
  const newest = { ...revision, programId: program.id, number: 1, signatureId: "", errorReason: "", errorMessage: "", createdAt: now };
  return { ...program, deployedRevision: null, etag: "", newest, createdAt: now, updatedAt: now };
}
