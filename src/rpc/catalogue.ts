import { fromJson, type JsonValue, type MessageInitShape } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { metrics } from "../domain/catalogue/metrics.ts";
import type { CatalogueEntry } from "../domain/catalogue/modules.ts";
import { optimizers } from "../domain/catalogue/optimizers.ts";
import type { Parameter } from "../domain/catalogue/parameter.ts";
import type { Tools } from "../domain/program/capabilities.ts";
import type { CallLimits } from "../dspy/channel.ts";
import type {
  CatalogEntrySchema,
  CatalogService,
  ParameterSchema,
} from "../gen/sigrun/v1/catalog_service_pb.ts";
import { callerOf } from "./caller.ts";

type Deps = { readonly modules: readonly CatalogueEntry[]; tools(limits: CallLimits): Promise<Tools> };

export function catalogService({ modules, tools }: Deps): ServiceImpl<typeof CatalogService> {
  return {
    listModules: () => ({ modules: modules.map(entryMessage) }),
    listOptimizers: () => ({ optimizers: optimizers.map(entryMessage) }),
    listMetrics: () => ({ metrics: metrics.map(entryMessage) }),

    async listTools(_, context) {
      const { signal, timeoutMs } = callerOf(context);
      const { tools: available, serversAway } = await tools({ signal, timeoutMs });
      return {
        tools: available.map(({ name, description }) => ({ name, description })),
        serversAway: [...serversAway],
      };
    },
  };
}

type Entry = Pick<CatalogueEntry, "name" | "description" | "parameters" | "refused"> & {
  readonly deprecated?: string;
  readonly lms?: readonly string[];
};

function entryMessage({
  name,
  description,
  parameters,
  refused,
  deprecated = "",
  lms = [],
}: Entry): MessageInitShape<typeof CatalogEntrySchema> {
  return {
    name,
    description,
    parameters: parameters.map(parameterMessage),
    refused,
    deprecated,
    lms: [...lms],
  };
}

function parameterMessage({
  name,
  type,
  description,
  isRequired = false,
  defaultValue,
  min,
  max,
}: Parameter): MessageInitShape<typeof ParameterSchema> {
  return {
    name,
    type,
    description,
    required: isRequired,
    ...(defaultValue !== undefined && { defaultValue: fromJson(ValueSchema, defaultValue as JsonValue) }),
    ...(min !== undefined && { min }),
    ...(max !== undefined && { max }),
  };
}
