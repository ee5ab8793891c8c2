/** The type of a field or of a part of one: what DSPy's notation says, as a tree. */
export type Type =
  | { readonly kind: "str" | "int" | "float" | "bool" }
  | { readonly kind: "literal"; readonly values: readonly string[] }
  | { readonly kind: "list"; readonly element: Type }
  | { readonly kind: "dict"; readonly key: "str" | "int"; readonly value: Type }
  | { readonly kind: "optional"; readonly of: Type };

/** A type in the one notation that stands for it; parseType reads it back. */
export function formatType(type: Type): string {
  switch (type.kind) {
    case "literal":
      return `Literal[${type.values.map((value) => JSON.stringify(value)).join(", ")}]`;
    case "list":
      return `list[${formatType(type.element)}]`;
    case "dict":
      return `dict[${type.key}, ${formatType(type.value)}]`;
    case "optional":
      return `Optional[${formatType(type.of)}]`;
    default:
      return type.kind;
  }
}
