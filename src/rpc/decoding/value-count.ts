import { maxValues } from "../../domain/bounds.ts";
import { Invalid } from "../../domain/faults.ts";

/** Counts the JSON values of a message, and refuses it as soon as one is too many. */
export type ValueCount = {
  /** An object or a list. */
  part(): void;
  /** The member of an object that has so many now. */
  member(count: number): void;
  /** An element of a list. */
  element(): void;
};

/** `field` names the member of the request that is being read. */
export function createValueCount(field: () => string): ValueCount {
  let parts = 0;
  let elements = 0;
  const refuse = (description: string): never => {
    throw Invalid.at("REQUEST_INVALID", field(), description, "length");
  };
  function part(): void {
    if (++parts > maxValues.parts)
      refuse(`must have at most ${maxValues.parts} objects, lists and members of objects in all`);
  }
  return {
    part,
    member(count) {
      if (count > maxValues.members) refuse(`must have at most ${maxValues.members} members in one object`);
      part();
    },
    element() {
      if (++elements > maxValues.elements)
        refuse(`must have at most ${maxValues.elements} elements of lists in all`);
    },
  };
}
