import { readPage, turnPage } from "../../domain/page.ts";
import type { Program } from "../../domain/revision.ts";
import type { ProgramStore } from "../../store/programs.ts";

/** Gives a page of the programs, newest first. */
export function createListPrograms({ programs }: { programs: ProgramStore }) {
  return async function listPrograms(project: string, asked: { pageSize: number; pageToken: string }) {
    const query = ["programs", project];
    const page = readPage(asked, query);
    const rows = await programs.list(project, { ...page, limit: page.limit + 1 });
    return turnPage<Program>(rows, page, query, ({ id }) => id);
  };
}
