import { Invalid } from "../../domain/faults.ts";

/** What a request must say, as it says it; refused where it is left empty. */
export function requiredField(text: string, field: string): string {
  if (text !== "") return text;
  throw new Invalid("REQUEST_INVALID", [{ field, description: "is missing", reason: "missing" }]);
}
