import type { JsonObject } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { SchemaCache } from "../domain/signature/schema.ts";
import type { CallLimits } from "../dspy/channel.ts";
import type { SidecarInfo } from "../dspy/worker.ts";
import type { AdminService } from "../gen/sigrun/v1/admin_service_pb.ts";
import { callerOf } from "./caller.ts";

type Deps = {
  readonly version: string;
  /** Settings without secrets. */
  readonly settings: JsonObject;
  readonly schemas: SchemaCache;
  readonly sidecar: {
    info(): SidecarInfo | undefined;
    loaded(limits: CallLimits): Promise<readonly { id: string; type: string; signature: string }[]>;
  };
};

/** The state of this process and its sidecar, whose fields are empty while it is away. */
export function adminService({
  version,
  settings,
  schemas,
  sidecar,
}: Deps): ServiceImpl<typeof AdminService> {
  return {
    getServerInfo() {
      const { dspyVersion = "", defaultModel = "", workers = 0 } = sidecar.info() ?? {};
      return { version, dspyVersion, defaultModel, sidecarWorkers: workers, settings };
    },

    async listLoadedPrograms(_, context) {
      const { signal, timeoutMs } = callerOf(context);
      const programs = await sidecar.loaded({ signal, timeoutMs });
      return { programs: programs.map(({ id, type, signature }) => ({ id, type, signature })) };
    },

    getSchemaCache() {
      const { entries, hits, misses } = schemas.stats();
      return { entries: BigInt(entries), hits: BigInt(hits), misses: BigInt(misses) };
    },

    clearSchemaCache: () => ({ cleared: BigInt(schemas.clear()) }),
  };
}
