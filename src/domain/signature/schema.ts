import { object, ValidationError } from "yup";
import type { Values } from "../execution.ts";
import type { Violation } from "../faults.ts";
import { checkJson, type Json } from "../json.ts";
import { createViolations, maxViolations } from "../violations.ts";
import { fieldSchema } from "./field-schema.ts";
import { type Field, type Signature, signatureHash } from "./signature.ts";

/** The result of a validation: coerced values, or all violations. */
export type Checked =
  | { readonly ok: true; readonly values: Values }
  | { readonly ok: false; readonly violations: readonly Violation[] };

/** Coerces and validates values of some fields. */
export type Schema = { validate(values: Values): Checked };

export type SignatureSchemas = { readonly inputs: Schema; readonly outputs: Schema };

export type SchemaCache = {
  of(signature: Signature): SignatureSchemas;
  stats(): { entries: number; hits: number; misses: number };
  /** Returns how many entries there were. */
  clear(): number;
};

/**
 * Compiles the schema of some fields. Unknown fields are refused, and only fields with a default
 * are optional. A field of an optional type that is left out is null.
 */
export function compileSchema(fields: readonly Field[]): Schema {
  return schemaOf(fields, () => true);
}

/** The same for inputs; one that is left out stays so, and DSPy's prompt does not have it then. */
const compileInputs = (fields: readonly Field[]) => schemaOf(fields, (value) => value !== null);

function schemaOf(fields: readonly Field[], isKeptIfAbsent: (value: Json) => boolean): Schema {
  const names = new Set(fields.map(({ name }) => name));
  const schema = object(Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field)])) as never);

  /** Restores the order of fields, which yup reverses. */
  const inOrder = (values: Values, known: object) => {
    const entries = fields.map(({ name }): [string, Json] => [name, values[name] as Json]);
    return Object.fromEntries(entries.filter(([name, value]) => isKeptIfAbsent(value) || name in known));
  };

  return {
    validate(values) {
      const v = createViolations();
      // Without a prototype, or a field called "constructor" would never be missing.
      const known = Object.create(null);
      for (const [name, value] of Object.entries(values))
        if (names.has(name)) known[name] = value;
        else v.add(name, "unknown field; the signature has no such field", "unknown");
      checkJson(values, v);
      try {
        const checked = schema.validateSync(known, { abortEarly: false, disableStackTrace: true }) as Values;
        if (v.count === 0) return { ok: true, values: inOrder(checked, known) };
      } catch (error) {
        if (!(error instanceof ValidationError)) throw error;
        const told = new Set(v.list().map(({ field }) => field));
        for (const violation of violationsOf(error)) {
          const { field } = violation;
          if (told.has(field)) continue;
          told.add(field);
          v.take([names.has(field) && !(field in known) ? missing(violation) : violation]);
        }
      }
      return { ok: false, violations: v.list() };
    },
  };
}

/** LRU cache of compiled schemas. */
export function createSchemaCache(limit: number): SchemaCache {
  const schemas = new Map<string, SignatureSchemas>();
  const keys = new WeakMap<Signature, string>();
  let hits = 0;
  let misses = 0;
  return {
    of(signature) {
      const key = keys.get(signature) ?? signatureHash(signature);
      keys.set(signature, key);
      const found = schemas.get(key);
      if (found) hits += 1;
      else misses += 1;
      const entry = found ?? {
        inputs: compileInputs(signature.inputs),
        outputs: compileSchema(signature.outputs),
      };
      schemas.delete(key);
      schemas.set(key, entry);
      for (const oldest of schemas.keys()) {
        if (schemas.size <= limit) break;
        schemas.delete(oldest);
      }
      return entry;
    },
    stats: () => ({ entries: schemas.size, hits, misses }),
    clear() {
      const { size } = schemas;
      schemas.clear();
      return size;
    },
  };
}

/** The reasons of violations for the checks that yup makes itself. */
const reasons: Record<string, string> = {
  typeError: "type",
  optionality: "missing",
  nullable: "type",
  key: "type",
};

/**
 * yup finds Object's own "constructor" in place of a missing field of that name, and reports its
 * type.
 */
const missing = ({ field }: Violation): Violation => ({
  field,
  description: "is missing",
  reason: "missing",
});

/** The first violations of a validation, up to the maximum. */
function violationsOf(error: ValidationError): Violation[] {
  const leaves = error.inner.length > 0 ? error.inner : [error];
  return leaves.slice(0, maxViolations).map(({ path = "", type = "", message }) => ({
    field: path,
    description: message,
    reason: reasons[type] ?? type,
  }));
}
