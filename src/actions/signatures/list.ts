import { type AskedPage, readPage, turnPage } from "../../domain/page.ts";
import type { SignatureStore } from "../../store/signatures.ts";

/** Gives a page of the signatures, newest first. */
export function createListSignatures({ signatures }: { signatures: SignatureStore }) {
  return async function listSignatures(project: string, asked: AskedPage) {
    const query = ["signatures", project];
    const page = readPage(asked, query);
    return turnPage(await signatures.list(project, { ...page, limit: page.limit + 1 }), page, query, ({ id }) => id);
  };
}
