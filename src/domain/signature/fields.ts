import { maxCharacters } from "../bounds.ts";
import { checkJson, textFault } from "../json.ts";
import type { Violations } from "../violations.ts";
import { compilePattern, maxPatternSteps } from "./pattern.ts";
import { compileSchema } from "./schema.ts";
import type { Constraints, Field, FieldDraft } from "./signature.ts";
import { parseType, type Type, TypeNotationError } from "./type.ts";

const names = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const maxDescription = maxCharacters.description;
const maxPattern = maxCharacters.pattern;

const pythonKeywords = new Set(
  `False None True and as assert async await break class continue def del elif else except finally for from global if import in is
   lambda nonlocal not or pass raise return try while with yield`.split(/\s+/),
);
/**
 * Names that DSPy 3.4.1 or pydantic can't carry: arguments of Predict (an input called config would
 * become arguments of the model) and of its callbacks, marks of bootstrapped examples, and members
 * of a signature's class. `npm run field-names` tries every name that DSPy's code uses.
 */
export const takenNames: ReadonlySet<string> = new Set([
  ...["self", "config", "lm", "demos", "signature", "new_signature", "prediction", "completions"],
  ...["instance", "augmented"],
  ...["fields", "input_fields", "output_fields", "instructions"],
  ...[
    "model_computed_fields",
    "model_config",
    "model_construct",
    "model_copy",
    "model_dump",
    "model_dump_json",
    "model_extra",
    "model_fields",
  ],
  ...[
    "model_fields_set",
    "model_json_schema",
    "model_parametrized_name",
    "model_post_init",
    "model_rebuild",
    "model_validate",
  ],
  ...["model_validate_json", "model_validate_strings"],
]);
/** DSPy's examples and predictions leave out members with this prefix. */
const dspyPrefix = "dspy_";
/** Further arguments of pydantic's Field that DSPy shows to the model. */
const otherConstraints = new Set(["multiple_of"]);

/** True for a keyword of Python. */
export const isKeyword = (name: string): boolean => pythonKeywords.has(name);

/** Reads a caller's field. */
export function defineField(draft: FieldDraft, isInput: boolean, v: Violations): Field {
  const { name, description, constraints, defaultValue } = draft;
  if (!names.test(name)) v.add("name", `must match ${names.source}`, name === "" ? "missing" : "pattern");
  else if (isKeyword(name)) v.add("name", "is a keyword of Python; choose another name", "reserved");
  else if (takenNames.has(name) || name.startsWith(dspyPrefix))
    v.add("name", "is reserved by DSPy; choose another name", "reserved");
  const fault = textFault(description);
  if (fault) v.add("description", fault, "text");
  if (description.length > maxDescription)
    v.add("description", `must have at most ${maxDescription} characters`, "length");

  const type = readType(draft.type, (why) => v.add("type", why, "type"));
  const before = v.count;
  if (type) checkConstraints(type, constraints, v.at("constraints"));
  const field: Field = {
    name,
    type: type ?? { kind: "str" },
    description,
    constraints,
    ...(defaultValue !== undefined && { defaultValue }),
  };
  if (defaultValue !== undefined && !isInput)
    v.add("default_value", "must be left out; only inputs have defaults", "unknown");
  else if (defaultValue !== undefined && type && v.count === before)
    checkDefault(field, v.at("default_value"));
  return field;
}

function readType(notation: string, refuse: (why: string) => void): Type | undefined {
  try {
    const fault = textFault(notation);
    if (fault) throw new TypeNotationError(fault);
    return parseType(notation);
  } catch (error) {
    if (!(error instanceof TypeNotationError)) throw error;
    refuse(error.message);
    return undefined;
  }
}

/** Checks that the type takes the constraints; Optional[T] takes those of T. */
function checkConstraints(type: Type, constraints: Constraints, v: Violations): void {
  const refuse = (part: string, why: string) => v.add(part, why, "constraint");
  const { kind } = type.kind === "optional" ? type.of : type;
  const isNumber = kind === "int" || kind === "float";
  const hasLength = kind === "str" || kind === "list" || kind === "dict";
  const { minLength, maxLength, min, max, gt, lt, pattern, other } = constraints;

  if (!hasLength)
    for (const part of setNames({ min_length: minLength, max_length: maxLength }))
      refuse(part, "must be left out; only str, list and dict have a length");
  if (!isNumber)
    for (const part of setNames({ min, max, gt, lt }))
      refuse(part, "must be left out; only int and float have it");
  for (const [part, value] of Object.entries({ min, max, gt, lt }))
    if (value !== undefined && !Number.isFinite(value)) refuse(part, "must be a finite number");
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength)
    refuse("min_length", "must be at most max_length");
  const low = Math.max(min ?? Number.NEGATIVE_INFINITY, gt ?? Number.NEGATIVE_INFINITY);
  const high = Math.min(max ?? Number.POSITIVE_INFINITY, lt ?? Number.POSITIVE_INFINITY);
  if (low > high || (low === high && (low === gt || high === lt)))
    refuse(min === undefined ? "gt" : "min", "leaves no possible number");

  if (pattern !== undefined) {
    if (kind !== "str") refuse("pattern", "must be left out; only str has it");
    else if (pattern.length > maxPattern) refuse("pattern", `must have at most ${maxPattern} characters`);
    else if (textFault(pattern)) refuse("pattern", textFault(pattern) as string);
    else {
      const { steps } = compilePattern(pattern) ?? { steps: 0 };
      if (steps === 0) refuse("pattern", "must be a regular expression in RE2's syntax");
      if (steps > maxPatternSteps)
        refuse("pattern", `repeats so much that it has ${steps} steps; expected at most ${maxPatternSteps}`);
    }
  }
  for (const [name, value] of Object.entries(other ?? {})) {
    if (!otherConstraints.has(name))
      v.at("other").add(
        name,
        `unknown constraint; expected one of ${[...otherConstraints].join(", ")}`,
        "constraint",
      );
    else if (!isNumber || typeof value !== "number" || !(value > 0))
      v.at("other").add(name, "must be a number above 0, on a field of type int or float", "constraint");
  }
}

function setNames(parts: Record<string, unknown>): string[] {
  return Object.keys(parts).filter((part) => parts[part] !== undefined);
}

function checkDefault(field: Field, v: Violations): void {
  const { defaultValue, ...bare } = field;
  const before = v.count;
  checkJson(defaultValue, v);
  if (v.count > before || defaultValue === undefined) return;
  const checked = compileSchema([bare]).validate({ [field.name]: defaultValue });
  if (checked.ok) return;
  v.take(
    checked.violations.map(({ field: path, ...rest }) => ({ ...rest, field: path.slice(field.name.length) })),
  );
}
