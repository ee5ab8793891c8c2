import type { ConnectRouter, ServiceImpl } from "@connectrpc/connect";
import { AdminService } from "../gen/sigrun/v1/admin_service_pb.ts";
import { CatalogService } from "../gen/sigrun/v1/catalog_service_pb.ts";
import { ExecutionService } from "../gen/sigrun/v1/execution_service_pb.ts";
import { OptimizationService } from "../gen/sigrun/v1/optimization_service_pb.ts";
import { ProgramService } from "../gen/sigrun/v1/program_service_pb.ts";
import { SignatureService } from "../gen/sigrun/v1/signature_service_pb.ts";

/** The public services. A service with a missing method does not compile. */
export const services = [
  SignatureService,
  ProgramService,
  ExecutionService,
  OptimizationService,
  CatalogService,
  AdminService,
] as const;

export type Implementations = {
  signatures: ServiceImpl<typeof SignatureService>;
  programs: ServiceImpl<typeof ProgramService>;
  executions: ServiceImpl<typeof ExecutionService>;
  optimizations: ServiceImpl<typeof OptimizationService>;
  catalogue: ServiceImpl<typeof CatalogService>;
  admin: ServiceImpl<typeof AdminService>;
};

/**
 * Registers the implementations. server/unary.ts replaces `router.service` during these calls, so
 * that it answers the unary methods itself if they come by gRPC over HTTP/2.
 */
export function createRoutes({
  signatures,
  programs,
  executions,
  optimizations,
  catalogue,
  admin,
}: Implementations) {
  return (router: ConnectRouter): void => {
    router.service(SignatureService, signatures);
    router.service(ProgramService, programs);
    router.service(ExecutionService, executions);
    router.service(OptimizationService, optimizations);
    router.service(CatalogService, catalogue);
    router.service(AdminService, admin);
  };
}
