import test from "ava";
import fc from "fast-check";
import { formatType, parseType, type Type, TypeNotationError } from "../../../src/domain/signature/type.ts";

const types: fc.Arbitrary<Type> = fc.letrec<{ type: Type }>((tie) => ({
  type: fc.oneof(
    { maxDepth: 5 },
    fc.record({ kind: fc.constantFrom("str", "int", "float", "bool") }),
    fc.record({
      kind: fc.constant("literal"),
      values: fc.uniqueArray(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant("list"), element: tie("type") }),
    fc.record({ kind: fc.constant("dict"), key: fc.constantFrom("str", "int"), value: tie("type") }),
    fc.record({ kind: fc.constant("optional"), of: tie("type").filter(({ kind }) => kind !== "optional") }),
  ) as fc.Arbitrary<Type>,
})).type;

test("parsing a formatted type gives the same type", (t) => {
  fc.assert(
    fc.property(types, (type) => {
      const notation = formatType(type);
      fc.pre(notation.length <= 2000);
      t.deepEqual(parseType(notation), type);
    }),
  );
});

const notations: [notation: string, formatted: string][] = [
  ["", "str"],
  ["string", "str"],
  ["integer", "int"],
  ["boolean", "bool"],
  ["float", "float"],
  ["List[str]", "list[str]"],
  ["typing.Dict[str, typing.List[int]]", "dict[str, list[int]]"],
  ["dict[ int ,float ]", "dict[int, float]"],
  ["int | None", "Optional[int]"],
  ["None | int", "Optional[int]"],
  ["Optional[Optional[str]]", "Optional[str]"],
  ["Literal['a', \"b\", 'a']", 'Literal["a", "b"]'],
  ["Literal['it\\'s', '[', ',', '\\u00e9']", 'Literal["it\'s", "[", ",", "é"]'],
  ["list[Literal['x'] | None]", 'list[Optional[Literal["x"]]]'],
];
for (const [notation, formatted] of notations)
  test(`${JSON.stringify(notation)} is ${formatted}`, (t) =>
    t.is(formatType(parseType(notation)), formatted));

const faults: [notation: string, says: RegExp][] = [
  ["strr", /unknown type "strr"; expected str, int/],
  ["list", /expected "\[" after list, as in list\[str\]/],
  ["list[str", /at character 9: expected "\]", found its end/],
  ["list[str]]", /at character 10: expected the end/],
  ["dict[float, str]", /str or int as the type of keys/],
  ["dict[str]", /expected ","/],
  ["Literal[1]", /expected a string, as in Literal/],
  ["Literal[]", /expected a string/],
  ["int | str", /a union of one type and None/],
  ["int | None | str", /a union of one type and None/],
  ["None", /a type other than None/],
  ["Any", /unsupported type "Any"/],
  ["dspy.Image", /unknown type "dspy.Image"/],
  ["Image", /unsupported type/],
  ["datetime", /unsupported type/],
  ["constructor", /unknown type/],
  [`${"list[".repeat(40)}str${"]".repeat(40)}`, /must nest at most 32 levels/],
  [`Literal["${"x".repeat(2000)}"]`, /at most 2000 characters/],
];
for (const [notation, says] of faults)
  test(`${JSON.stringify(notation.slice(0, 40))} is refused with where and why`, (t) => {
    t.throws(() => parseType(notation), { instanceOf: TypeNotationError, message: says });
  });

test("reads any text as a type or refuses it, without delay", (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(..."lisdctrn[],|\"'\\ OptionalNoneLiteral"), maxLength: 200 }),
      (notation) => {
        try {
          formatType(parseType(notation));
        } catch (error) {
          if (!(error instanceof TypeNotationError)) throw error;
        }
      },
    ),
  );
  t.pass();
});
