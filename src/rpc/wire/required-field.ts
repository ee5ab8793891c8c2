import { Invalid } from "../../domain/faults.ts";

/** Gives the value; throws if the request left it empty. */
export function requiredField(value: string, field: string): string {
  if (value !== "") return value;
  throw Invalid.at("REQUEST_INVALID", field, "is missing", "missing");
}
