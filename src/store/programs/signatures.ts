import { ForeignKeyConstraintError, type Transaction } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { AlreadyExists, InUse, NotFound } from "../../domain/faults.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import { signatureFields } from "../../domain/query/queryable.ts";
import { isSignatureName } from "../../domain/signature/define.ts";
import { type Signature, signatureHash } from "../../domain/signature/signature.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import { fieldColumns, type Queryable } from "../query/queryable.ts";
import { type ColumnTypes, defineTable, selectList } from "../table.ts";

/** A signature as it is stored. */
export type StoredSignature = Signature & {
  readonly id: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
};

/** A row of `signatures`. */
type SignatureRow = StoredSignature & { readonly projectId: string; readonly contentHash: string };
type NewSignatureRow = Omit<SignatureRow, "createdAt" | "updatedAt">;

const columns: ColumnTypes<SignatureRow> = {
  projectId: "uuid",
  id: "uuid",
  name: "text",
  instructions: "text",
  inputs: "json",
  outputs: "json",
  contentHash: "text",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
};

export type SignatureStore = {
  get(project: string, key: { id: string } | { name: string }): Promise<StoredSignature>;
  /**
   * Returns the stored signature of the same name. Throws AlreadyExists if its content is
   * different.
   */
  findOrCreate(project: string, signature: Signature, transaction?: Transaction): Promise<StoredSignature>;
  /** Throws InUse while a revision uses the signature. */
  remove(project: string, id: string): Promise<void>;
  find(project: string, listing: Listing): Promise<Found<StoredSignature>[]>;
  count(project: string, listing: Listing): Promise<number>;
};

export function createSignatureStore(database: Database): SignatureStore {
  const Row = defineTable<SignatureRow, NewSignatureRow>(database.sequelize, {
    name: "signatures",
    columns,
    key: ["projectId", "id"],
  });

  return {
    get: (project, key) =>
      database.use(async () => {
        if ("name" in key && !isSignatureName(key.name)) throw new NotFound("signature", key.name);
        const row = await Row.findOne({ where: { projectId: project, ...key } });
        if (!row) throw new NotFound("signature", "id" in key ? key.id : key.name);
        return signatureOf(row);
      }),

    findOrCreate: (project, signature, transaction) =>
      database.use(async () => {
        const contentHash = signatureHash(signature);
        const { name, instructions, inputs, outputs } = signature;
        const inTransaction = transaction ? { transaction } : {};
        const row = { projectId: project, id: uuidv7(), name, instructions, inputs, outputs, contentHash };
        for (;;) {
          // ON CONFLICT DO NOTHING waits until a concurrent creator has committed, so the read
          // after it sees its row.
          await Row.bulkCreate([row], { ignoreDuplicates: true, returning: false, ...inTransaction });
          // The lock keeps others from deleting the signature before a revision refers to it.
          const lock = transaction ? { lock: transaction.LOCK.KEY_SHARE } : {};
          const found = await Row.findOne({ where: { projectId: project, name }, ...inTransaction, ...lock });
          if (!found) continue;
          if (found.contentHash !== contentHash)
            throw new AlreadyExists(
              `signature ${JSON.stringify(name)} exists with another content; choose another name`,
            );
          return signatureOf(found);
        }
      }),

    remove: (project, id) =>
      database.use(async () => {
        try {
          const deleted = await Row.destroy({ where: { projectId: project, id } });
          if (deleted === 0) throw new NotFound("signature", id);
        } catch (error) {
          if (error instanceof ForeignKeyConstraintError)
            throw new InUse(`signature ${JSON.stringify(id)} is used by a program's revision`);
          throw error;
        }
      }),

    async find(project, listing) {
      const found = await findRows<SignatureRow>(database, project, queryable, selection, listing);
      return found.map(({ row, ...place }) => ({ row: signatureOf(row), ...place }));
    },

    count: (project, listing) => countRows(database, project, queryable, listing),
  };
}

/** What callers may query of signatures. */
const queryable: Queryable = {
  from: "sigrun.signatures",
  projectId: "project_id",
  columns: fieldColumns<SignatureRow, keyof typeof signatureFields>(signatureFields, {}),
};

const selection = {
  select: selectList(Object.keys(columns)),
  bytes:
    "octet_length(page.inputs::text) + octet_length(page.outputs::text) + octet_length(page.instructions)",
};

export function signatureOf(row: SignatureRow): StoredSignature {
  const { id, name, instructions, inputs, outputs, createdAt, updatedAt } = row;
  return { id, name, instructions, inputs, outputs, createdAt, updatedAt };
}
