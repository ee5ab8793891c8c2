import type { Violation } from "../faults.ts";
import { checkJson, pathTo, textFault } from "../json.ts";
import { compilePattern } from "./pattern.ts";
import { compileSchema } from "./schema.ts";
import type { Constraints, Field, FieldDraft } from "./signature.ts";
import { parseType, type Type, TypeNotationError } from "./type.ts";

const names = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
const longestDescription = 10_000;
const longestPattern = 1_000;

const pythonKeywords = new Set(
  `False None True and as assert async await break class continue def del elif else except finally for from global if import in is
   lambda nonlocal not or pass raise return try while with yield`.split(/\s+/),
);
/**
 * Names that DSPy 3.4.1 or pydantic take for themselves: as arguments of Predict (an input called config would go into the model's
 * own arguments), or as members of a signature's class. Each was tried; sidecar/tests holds the list against DSPy.
 */
export const takenNames: ReadonlySet<string> = new Set([
  ...["self", "config", "lm", "demos", "signature", "new_signature", "prediction", "completions"],
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
/** Further arguments of pydantic's field that DSPy tells the model of. */
const otherConstraints = new Set(["multiple_of"]);

/** True of a word that Python keeps for itself. */
export const isKeyword = (name: string): boolean => pythonKeywords.has(name);

/** Reads a field as a caller wrote it; what is wrong goes to violations, with its path. */
export function defineField(
  draft: FieldDraft,
  path: string,
  isInput: boolean,
  violations: Violation[],
): Field {
  const refuse = (part: string, description: string, reason: string) =>
    violations.push({ field: part === "" ? path : `${path}.${part}`, description, reason });
  const { name, description, constraints, defaultValue } = draft;

  if (!names.test(name)) refuse("name", `must match ${names.source}`, name === "" ? "missing" : "pattern");
  else if (isKeyword(name)) refuse("name", "is a keyword of Python", "reserved");
  else if (takenNames.has(name)) refuse("name", "is a name that DSPy takes for itself", "reserved");
  const fault = textFault(description);
  if (fault) refuse("description", fault, "text");
  if (description.length > longestDescription)
    refuse("description", `is longer than ${longestDescription} characters`, "length");

  const type = readType(draft.type, (why) => refuse("type", why, "type"));
  const before = violations.length;
  if (type)
    checkConstraints(type, constraints, (part, why) => refuse(`constraints.${part}`, why, "constraint"));
  const field: Field = {
    name,
    type: type ?? { kind: "str" },
    description,
    constraints,
    ...(defaultValue !== undefined && { defaultValue }),
  };
  if (defaultValue !== undefined && !isInput) refuse("default_value", "is for inputs alone", "unknown");
  else if (defaultValue !== undefined && type && violations.length === before)
    checkDefault(field, path, violations);
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

/** Which constraints a type knows; an Optional knows what it is an Optional of knows. */
function checkConstraints(
  type: Type,
  constraints: Constraints,
  refuse: (part: string, why: string) => void,
): void {
  const { kind } = type.kind === "optional" ? type.of : type;
  const isNumber = kind === "int" || kind === "float";
  const hasLength = kind === "str" || kind === "list" || kind === "dict";
  const { minLength, maxLength, min, max, gt, lt, pattern, other } = constraints;

  if (!hasLength)
    for (const part of given({ min_length: minLength, max_length: maxLength }))
      refuse(part, "is for str, list and dict");
  if (!isNumber) for (const part of given({ min, max, gt, lt })) refuse(part, "is for int and float");
  for (const [part, value] of Object.entries({ min, max, gt, lt }))
    if (value !== undefined && !Number.isFinite(value)) refuse(part, "must be a finite number");
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength)
    refuse("min_length", "is greater than max_length");
  const low = Math.max(min ?? Number.NEGATIVE_INFINITY, gt ?? Number.NEGATIVE_INFINITY);
  const high = Math.min(max ?? Number.POSITIVE_INFINITY, lt ?? Number.POSITIVE_INFINITY);
  if (low > high || (low === high && (low === gt || high === lt)))
    refuse(min === undefined ? "gt" : "min", "leaves no number");

  if (pattern !== undefined) {
    if (kind !== "str") refuse("pattern", "is for str");
    else if (pattern.length > longestPattern)
      refuse("pattern", `is longer than ${longestPattern} characters`);
    else if (!compilePattern(pattern)) refuse("pattern", "is no regular expression in RE2's syntax");
  }
  for (const [name, value] of Object.entries(other ?? {})) {
    if (!otherConstraints.has(name))
      refuse(pathTo("other", name), `is not known; there is ${[...otherConstraints].join(", ")}`);
    else if (!isNumber || typeof value !== "number" || !(value > 0))
      refuse(`other.${name}`, "must be a number above 0, and is for int and float");
  }
}

function given(parts: Record<string, unknown>): string[] {
  return Object.keys(parts).filter((part) => parts[part] !== undefined);
}

function checkDefault(field: Field, path: string, violations: Violation[]): void {
  const { defaultValue, ...bare } = field;
  const unsound = checkJson(defaultValue, `${path}.default_value`);
  violations.push(...unsound);
  if (unsound.length > 0 || defaultValue === undefined) return;
  const checked = compileSchema([bare]).validate({ [field.name]: defaultValue });
  if (checked.ok) return;
  for (const { field: where, ...rest } of checked.violations)
    violations.push({ ...rest, field: `${path}.default_value${where.slice(field.name.length)}` });
}
