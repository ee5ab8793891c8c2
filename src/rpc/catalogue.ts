import { fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type CatalogueEntry, modules, type Parameter } from "../domain/catalogue.ts";
import type { CatalogEntrySchema, CatalogService, ParameterSchema } from "../gen/sigrun/v1/catalog_service_pb.ts";

export function catalogService(): Partial<ServiceImpl<typeof CatalogService>> {
  return { listModules: () => ({ modules: modules.map(entryMessage) }) };
}

function entryMessage({ name, description, parameters, refused }: CatalogueEntry): MessageInitShape<typeof CatalogEntrySchema> {
  return { name, description, parameters: parameters.map(parameterMessage), refused };
}

function parameterMessage({ defaultValue, ...parameter }: Parameter): MessageInitShape<typeof ParameterSchema> {
  return { ...parameter, ...(defaultValue !== undefined && { defaultValue: fromJson(ValueSchema, defaultValue as JsonValue) }) };
}
