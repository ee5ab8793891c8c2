import { Invalid } from "../../domain/faults.ts";

/** Gives the value; throws if the request left it empty. */
export function requiredField(value: string, field: string): string {
  if (value !== "") return value;
  throw new Invalid("REQUEST_INVALID", [{ field, description: "is missing", reason: "missing" }]);
}
