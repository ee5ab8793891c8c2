import { checkLabels, type Labels } from "./labels.ts";
import { snakeCase } from "./snake-case.ts";
import type { Violations } from "./violations.ts";

/**
 * What a caller attaches to a run: stored with it and found by filters, but not read by the run.
 */
export type Annotations = { readonly labels: Labels };

type Annotation<Value> = {
  /** The value if the caller sets none. */
  readonly unset: Value;
  readonly isSet: (value: Value) => boolean;
  readonly check: (value: Value, v: Violations) => void;
};

/** An annotation without an entry does not compile. */
const table: { readonly [Name in keyof Annotations]-?: Annotation<Annotations[Name]> } = {
  labels: { unset: {}, isSet: (labels) => Object.keys(labels).length > 0, check: checkLabels },
};

type Name = keyof Annotations;
const names = Object.keys(table) as Name[];

/** The names that an update mask takes, besides "*". */
export const annotationPaths: readonly string[] = names.map(snakeCase);

/**
 * Annotations in a request. Every request that starts or updates an execution must have the field
 * of an annotation named here, or it does not compile. The field of any other annotation may be in
 * some requests alone, such as CreateExecution and UpdateExecution; the other requests leave the
 * annotation unset. rpc/ needs no change in either case.
 */
export type SentAnnotations = Pick<Annotations, "labels"> & Partial<Annotations>;

export const annotationsOf = (sent: SentAnnotations): Annotations =>
  Object.fromEntries(names.map((name) => [name, sent[name] ?? table[name].unset])) as Annotations;

/** A caller's own annotations, over labels that came with its batch or its headers. */
export const annotationsOver = (labels: Labels, own: SentAnnotations): Annotations => ({
  ...annotationsOf(own),
  labels: { ...labels, ...own.labels },
});

/** The annotations that are set. */
export const setAnnotationsOf = (annotations: Annotations): Partial<Annotations> =>
  picked(annotations, (name) => isSet(annotations, name));

/**
 * The annotations that an update mask names: "*" names all of them, an empty mask those that are
 * set.
 */
export const maskedAnnotations = (annotations: Annotations, mask: readonly string[]): Partial<Annotations> =>
  mask.length === 0
    ? setAnnotationsOf(annotations)
    : picked(annotations, (name) => mask.includes("*") || mask.includes(snakeCase(name)));

/** Checks annotations; `v` collects for the message that holds them. */
export function checkAnnotations(annotations: Annotations, v: Violations): void {
  for (const name of names) check(annotations, name, v);
}

const check = <N extends Name>(annotations: Annotations, name: N, v: Violations) =>
  table[name].check(annotations[name], v.at(snakeCase(name)));

const isSet = <N extends Name>(annotations: Annotations, name: N) => table[name].isSet(annotations[name]);

const picked = (annotations: Annotations, isPicked: (name: Name) => boolean): Partial<Annotations> =>
  Object.fromEntries(names.filter(isPicked).map((name) => [name, annotations[name]]));
