import type { Program, Revision } from "../../domain/program/revision.ts";
import { weigh } from "../../domain/query/size.ts";

/** A program and the revision of it that a run is of. */
export type ProgramRevision = { readonly program: Program; readonly revision: Revision };

export type ProgramCache = {
  /** The entry for a program's key (UUID or handle) and revision number. It may be stale. */
  get(project: string, key: string, number: number): ProgramRevision | undefined;
  set(project: string, key: string, number: number, value: ProgramRevision): void;
  /** Deletes all entries of a program, whatever their keys and numbers. */
  delete(project: string, programId: string): void;
};

/**
 * LRU cache of program revisions, bounded by bytes. Entries may be stale;
 * use it only if the write checks them again, as `recorder.start` does.
 */
export function createProgramCache(maxBytes: number): ProgramCache {
  // A Map iterates in the order of insertion: the least recently used entry comes first.
  const entries = new Map<string, { project: string; bytes: number; value: ProgramRevision }>();
  let bytes = 0;

  function remove(place: string): void {
    bytes -= entries.get(place)?.bytes ?? 0;
    entries.delete(place);
  }

  const placeOf = (project: string, key: string, number: number) => `${project} ${number} ${key}`;

  return {
    get(project, key, number) {
      const place = placeOf(project, key, number);
      const entry = entries.get(place);
      if (!entry) return undefined;
      entries.delete(place);
      entries.set(place, entry);
      return entry.value;
    },

    set(project, key, number, value) {
      const place = placeOf(project, key, number);
      remove(place);
      const entry = { project, value, bytes: weigh(value) };
      if (entry.bytes > maxBytes) return;
      entries.set(place, entry);
      bytes += entry.bytes;
      for (const leastRecent of entries.keys()) {
        if (bytes <= maxBytes) return;
        remove(leastRecent);
      }
    },

    delete(project, programId) {
      for (const [place, entry] of entries)
        if (entry.project === project && entry.value.program.id === programId) remove(place);
    },
  };
}
