import { ForeignKeyConstraintError, type Transaction } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { InUse, NotFound } from "../../domain/faults.ts";
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
  /** Counts from 1 the contents that signatures of this name have had. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
};

/** A row of `signatures`. */
type SignatureRow = StoredSignature & { readonly projectId: string; readonly contentHash: string };

const columns: ColumnTypes<SignatureRow> = {
  projectId: "uuid",
  id: "uuid",
  name: "text",
  version: "integer",
  instructions: "text",
  inputs: "json",
  outputs: "json",
  contentHash: "text",
  createdAt: "timestamptz",
  updatedAt: "timestamptz",
};

export type SignatureStore = {
  /** By a name: the newest version. */
  get(project: string, key: { id: string } | { name: string }): Promise<StoredSignature>;
  /** The version with this name and content; if there is none, it is made as the next one. */
  findOrCreate(project: string, signature: Signature, transaction?: Transaction): Promise<StoredSignature>;
  /** Throws InUse while a revision uses the signature. */
  remove(project: string, id: string): Promise<void>;
  find(project: string, listing: Listing): Promise<Found<StoredSignature>[]>;
  count(project: string, listing: Listing): Promise<number>;
};

export function createSignatureStore(database: Database): SignatureStore {
  const Row = defineTable<SignatureRow, SignatureRow>(database.sequelize, {
    name: "signatures",
    columns,
    key: ["projectId", "id"],
  });

  return {
    get: (project, key) =>
      database.use(async () => {
        if ("name" in key && !isSignatureName(key.name)) throw new NotFound("signature", key.name);
        const row = await Row.findOne({
          where: { projectId: project, ...key },
          order: [["version", "DESC"]],
        });
        if (!row) throw new NotFound("signature", "id" in key ? key.id : key.name);
        return signatureOf(row);
      }),

    async findOrCreate(project, signature, transaction) {
      const contentHash = signatureHash(signature);
      const { name, instructions, inputs, outputs } = signature;
      const content = [instructions, JSON.stringify(inputs), JSON.stringify(outputs)];
      const select = (sql: string, bind: unknown[]) =>
        database.rows<SignatureRow>({ sql }, bind, transaction);
      for (;;) {
        // The lock keeps others from deleting the signature before a revision refers to it.
        const [found] = await select(findSql, [project, name, contentHash]);
        if (found) return signatureOf(found);
        const [made] = await select(createSql, [project, name, contentHash, uuidv7(), ...content]);
        if (made) return signatureOf(made);
      }
    },

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

const findSql = `
  SELECT ${selectList(Object.keys(columns))} FROM sigrun.signatures
  WHERE project_id = $1 AND name = $2 AND content_hash = $3 FOR KEY SHARE`;

/**
 * Of several that make a version at once, one inserts its row. The others wait until that one has
 * committed, insert nothing, and begin again: so no number is left out or given twice.
 */
const createSql = `
  INSERT INTO sigrun.signatures (project_id, name, version, content_hash, id, instructions, inputs, outputs, created_at, updated_at)
  SELECT $1::uuid, $2::text, coalesce(max(version), 0) + 1, $3::text, $4::uuid, $5::text, $6::json, $7::json, now(), now()
  FROM sigrun.signatures WHERE project_id = $1 AND name = $2
  ON CONFLICT DO NOTHING
  RETURNING ${selectList(Object.keys(columns))}`;

function signatureOf(row: SignatureRow): StoredSignature {
  const { id, name, version, instructions, inputs, outputs, createdAt, updatedAt } = row;
  return { id, name, version, instructions, inputs, outputs, createdAt, updatedAt };
}
