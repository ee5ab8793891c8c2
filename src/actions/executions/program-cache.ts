import type { Program, Revision } from "../../domain/program/revision.ts";
import { weigh } from "../../domain/query/size.ts";

/** A program and the revision of it that a run is of. */
export type ProgramRevision = { readonly program: Program; readonly revision: Revision };

export type RecentPrograms = {
  /** As it was read last, by the key and the number it was asked by; it may have changed since. */
  recall(project: string, key: string, number: number): ProgramRevision | undefined;
  remember(project: string, key: string, number: number, read: ProgramRevision): void;
  /** Whatever it was asked by. */
  forget(project: string, programId: string): void;
};

/** Keeps what was read last, so many bytes of it. Only for who finds out whether it still is so, as a run does when it is recorded. */
export function createRecentPrograms(mostBytes: number): RecentPrograms {
  // The one that was used last comes last.
  const kept = new Map<string, { project: string; bytes: number; read: ProgramRevision }>();
  let bytes = 0;

  function drop(place: string): void {
    bytes -= kept.get(place)?.bytes ?? 0;
    kept.delete(place);
  }

  const placeOf = (project: string, key: string, number: number) => `${project} ${number} ${key}`;

  return {
    recall(project, key, number) {
      const place = placeOf(project, key, number);
      const entry = kept.get(place);
      if (!entry) return undefined;
      kept.delete(place);
      kept.set(place, entry);
      return entry.read;
    },

    remember(project, key, number, read) {
      const place = placeOf(project, key, number);
      drop(place);
      const entry = { project, read, bytes: weigh(read) };
      if (entry.bytes > mostBytes) return;
      kept.set(place, entry);
      bytes += entry.bytes;
      for (const oldest of kept.keys()) {
        if (bytes <= mostBytes) return;
        drop(oldest);
      }
    },

    forget(project, programId) {
      for (const [place, entry] of kept)
        if (entry.project === project && entry.read.program.id === programId) drop(place);
    },
  };
}
