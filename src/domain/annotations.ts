import { checkLabels, type Labels } from "./labels.ts";
import type { Violations } from "./violations.ts";

/**
 * What a caller attaches to a run: stored with it and found by filters, but not read by the run.
 */
export type Annotations = { readonly labels: Labels };

export const annotationsOf = ({ labels }: Annotations): Annotations => ({ labels });

/** A caller's own annotations, over labels that came with its batch or its headers. */
export const annotationsOver = (labels: Labels, own: Annotations): Annotations => ({
  ...annotationsOf(own),
  labels: { ...labels, ...own.labels },
});

/** Checks annotations; `v` collects for the message that holds them. */
export function checkAnnotations({ labels }: Annotations, v: Violations): void {
  checkLabels(labels, v.at("labels"));
}

const isSet = {
  labels: ({ labels }) => Object.keys(labels).length > 0,
} as const satisfies { readonly [Name in keyof Annotations]: (annotations: Annotations) => boolean };

export const annotationNames = Object.keys(isSet) as (keyof Annotations)[];

/**
 * The annotations that an update mask names: "*" names all of them, an empty mask those that are
 * set.
 */
export function maskedAnnotations(annotations: Annotations, mask: readonly string[]): Partial<Annotations> {
  const isNamed = (name: keyof Annotations) =>
    mask.length === 0 ? isSet[name](annotations) : mask.includes("*") || mask.includes(name);
  return Object.fromEntries(annotationNames.filter(isNamed).map((name) => [name, annotations[name]]));
}
