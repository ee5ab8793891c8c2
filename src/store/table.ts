import { DataTypes, type Model, type ModelStatic, type Sequelize } from "sequelize";
import { snakeCase } from "../domain/snake-case.ts";

/** The SQL types that columns have here, by Sequelize's types for them. */
const sequelizeTypes = {
  uuid: DataTypes.UUID,
  text: DataTypes.TEXT,
  integer: DataTypes.INTEGER,
  bigint: DataTypes.BIGINT,
  "double precision": DataTypes.DOUBLE,
  boolean: DataTypes.BOOLEAN,
  json: DataTypes.JSON,
  jsonb: DataTypes.JSONB,
  timestamptz: DataTypes.DATE,
} as const;

export type SqlType = keyof typeof sequelizeTypes;

/** The SQL type of each column of a table, by the column's name in TypeScript. */
export type ColumnTypes<Row> = { readonly [Name in keyof Row]-?: SqlType };

/** Defines a table for Sequelize. Defaults and NOT NULL are PostgreSQL's, from the migrations. */
export function defineTable<Row extends object, NewRow extends object>(
  sequelize: Sequelize,
  table: {
    name: string;
    columns: ColumnTypes<Row>;
    /** The primary key. */
    key: readonly (keyof Row & string)[];
    /** True if PostgreSQL makes created_at from the id, so that Sequelize must not write it. */
    hasGeneratedCreatedAt?: boolean;
  },
): ModelStatic<Model<Row, NewRow> & Row> {
  const { name, columns, key, hasGeneratedCreatedAt = false } = table;
  const keys: readonly string[] = key;
  const attributes = Object.entries<SqlType>(columns).map(([property, type]) => [
    property,
    { type: sequelizeTypes[type], ...(keys.includes(property) && { primaryKey: true }) },
  ]);
  return sequelize.define<Model<Row, NewRow> & Row>(name, Object.fromEntries(attributes), {
    tableName: name,
    underscored: true,
    ...(hasGeneratedCreatedAt && { createdAt: false }),
  });
}

/** A SELECT list that gives columns their names in TypeScript. */
export const selectList = (names: readonly string[]) =>
  names.map((name) => `${snakeCase(name)} AS "${name}"`).join(", ");
