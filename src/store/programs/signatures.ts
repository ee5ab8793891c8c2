import {
  type CreationOptional,
  DataTypes,
  ForeignKeyConstraintError,
  type InferAttributes,
  type InferCreationAttributes,
  Model,
  type Transaction,
} from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { AlreadyExists, InUse, NotFound } from "../../domain/faults.ts";
import type { Listing } from "../../domain/query/listing.ts";
import type { Found } from "../../domain/query/page.ts";
import { signatureFields } from "../../domain/query/queryable.ts";
import { isSignatureName } from "../../domain/signature/define.ts";
import { type Field, type Signature, signatureHash } from "../../domain/signature/signature.ts";
import type { Database } from "../database.ts";
import { countRows, findRows } from "../query/query.ts";
import { fieldColumns, type Queryable } from "../query/queryable.ts";

/** A signature under its id. */
export type StoredSignature = Signature & {
  readonly id: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
};

export class SignatureRow extends Model<
  InferAttributes<SignatureRow>,
  InferCreationAttributes<SignatureRow>
> {
  declare projectId: string;
  declare id: string;
  declare name: string;
  declare instructions: string;
  declare inputs: readonly Field[];
  declare outputs: readonly Field[];
  declare contentHash: string;
  declare createdAt: CreationOptional<Date>;
  declare updatedAt: CreationOptional<Date>;
}

export type SignatureStore = {
  get(project: string, key: { id: string } | { name: string }): Promise<StoredSignature>;
  /** The one that stands under the same name where it says the same; AlreadyExists where it says something else. */
  findOrCreate(project: string, signature: Signature, transaction?: Transaction): Promise<StoredSignature>;
  /** InUse while a program's revision uses it. */
  remove(project: string, id: string): Promise<void>;
  find(project: string, listing: Listing): Promise<Found<StoredSignature>[]>;
  count(project: string, listing: Listing): Promise<number>;
};

export function createSignatureStore(database: Database): SignatureStore {
  const Row = class extends SignatureRow {}.init(
    {
      projectId: { type: DataTypes.UUID, primaryKey: true },
      id: { type: DataTypes.UUID, primaryKey: true },
      name: { type: DataTypes.TEXT, allowNull: false },
      instructions: { type: DataTypes.TEXT, allowNull: false },
      inputs: { type: DataTypes.JSON, allowNull: false },
      outputs: { type: DataTypes.JSON, allowNull: false },
      contentHash: { type: DataTypes.TEXT, allowNull: false },
      createdAt: DataTypes.DATE,
      updatedAt: DataTypes.DATE,
    },
    { sequelize: database.sequelize, modelName: "Signature", tableName: "signatures", underscored: true },
  );

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
          // ON CONFLICT DO NOTHING waits for a creator that has not committed yet, so the read after it sees who won.
          await Row.bulkCreate([row], { ignoreDuplicates: true, returning: false, ...inTransaction });
          // Held, so that nobody deletes it before its program's revision refers to it.
          const lock = transaction ? { lock: transaction.LOCK.KEY_SHARE } : {};
          const found = await Row.findOne({ where: { projectId: project, name }, ...inTransaction, ...lock });
          if (!found) continue;
          if (found.contentHash !== contentHash)
            throw new AlreadyExists(
              `signature ${JSON.stringify(name)} exists and says something else; choose another name`,
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

/** What callers may ask of signatures. */
const queryable: Queryable = {
  from: "signatures",
  projectId: "project_id",
  columns: fieldColumns<SignatureRow, keyof typeof signatureFields>(signatureFields, {}),
};

const selection = {
  select: `id, name, instructions, inputs, outputs, created_at AS "createdAt", updated_at AS "updatedAt"`,
  bytes:
    "octet_length(page.inputs::text) + octet_length(page.outputs::text) + octet_length(page.instructions)",
};

export function signatureOf(row: SignatureRow): StoredSignature {
  const { id, name, instructions, inputs, outputs, createdAt, updatedAt } = row;
  return { id, name, instructions, inputs, outputs, createdAt, updatedAt };
}
