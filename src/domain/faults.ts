/** Everything that can go wrong, as sigrun.v1.ErrorReason names it. rpc/faults.ts knows each one's code. */
export type Reason =
  | "REQUEST_INVALID"
  | "SIGNATURE_INVALID"
  | "PROGRAM_INVALID"
  | "INPUT_INVALID"
  | "FILTER_INVALID"
  | "PAGE_TOKEN_INVALID"
  | "CONTEXT_WINDOW_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "REQUEST_ID_REUSED"
  | "STATUS_CONFLICT"
  | "IN_USE"
  | "LM_NOT_CONFIGURED"
  | "LM_AUTH_FAILED"
  | "LM_REFUSED"
  | "NOT_ENABLED"
  | "ETAG_MISMATCH"
  | "OUTPUT_INVALID"
  | "INTERNAL"
  | "SIDECAR_UNAVAILABLE"
  | "STORE_UNAVAILABLE"
  | "LM_UNAVAILABLE"
  | "INTERRUPTED"
  | "ATTEMPTS_EXHAUSTED"
  | "LM_RATE_LIMITED"
  | "OVERLOADED"
  | "TOO_LARGE"
  | "QUOTA_EXCEEDED"
  | "BUDGET_EXCEEDED"
  | "DEADLINE_EXCEEDED"
  | "CANCELLED"
  | "UNAUTHENTICATED"
  | "PERMISSION_DENIED"
  | "UNSUPPORTED";

/** One value that is wrong, where it stands, and why. */
export type Violation = { field: string; description: string; reason: string };

export type FaultDetails = {
  violations?: readonly Violation[];
  /** What a caller may want to know beside the reason, such as the execution's id. */
  metadata?: Readonly<Record<string, string>>;
  retryAfterMs?: number;
  /** Never shown to callers. */
  cause?: unknown;
};

/** What every fault is: a reason that programs read and a sentence that people read. Neither holds a secret, a stack or a prompt. */
export class Fault extends Error {
  readonly reason: Reason;
  readonly violations: readonly Violation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, details: FaultDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.reason = reason;
    this.violations = details.violations ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }
}

export type InvalidReason =
  | "REQUEST_INVALID"
  | "SIGNATURE_INVALID"
  | "PROGRAM_INVALID"
  | "INPUT_INVALID"
  | "FILTER_INVALID"
  | "PAGE_TOKEN_INVALID";

/** Thrown when what a caller sent is wrong, with the place of each wrong value. */
export class Invalid extends Fault {
  constructor(reason: InvalidReason, violations: readonly Violation[]) {
    super(reason, violations.map(({ field, description }) => `${field}: ${description}`).join("; "), {
      violations,
    });
  }

  /** One value is wrong. More of them are collected by createViolations. */
  static at(reason: InvalidReason, field: string, description: string, violationReason: string): Invalid {
    return new Invalid(reason, [{ field, description, reason: violationReason }]);
  }
}

/** Thrown when what a caller names is not there. */
export class NotFound extends Fault {
  constructor(noun: string, key: string) {
    super("NOT_FOUND", `no ${noun} ${JSON.stringify(key)}`);
  }
}

/** Thrown when a name is taken by something that says something else. */
export class AlreadyExists extends Fault {
  constructor(message: string) {
    super("ALREADY_EXISTS", message);
  }
}

/** Thrown when a request_id comes again with another request. */
export class RequestIdReused extends Fault {
  constructor(requestId: string) {
    super("REQUEST_ID_REUSED", `request_id ${JSON.stringify(requestId)} belongs to another request`);
  }
}

/** Thrown when a thing's status does not allow what was asked. */
export class StatusConflict extends Fault {
  constructor(message: string) {
    super("STATUS_CONFLICT", message);
  }
}

/** Thrown when something is still needed by something else. */
export class InUse extends Fault {
  constructor(message: string) {
    super("IN_USE", message);
  }
}

/** Thrown when an etag no longer holds. */
export class EtagMismatch extends Fault {
  constructor(noun: string, id: string) {
    super("ETAG_MISMATCH", `${noun} ${JSON.stringify(id)} has changed since that etag; read it again`);
  }
}

/** Thrown when this version does not do it. */
export class Unsupported extends Fault {
  constructor(what: string) {
    super("UNSUPPORTED", `${what} is not supported by this version`);
  }
}

/** Thrown when a program needs what the operator has not switched on. */
export class NotEnabled extends Fault {
  constructor(violations: readonly Violation[]) {
    super("NOT_ENABLED", violations.map(({ field, description }) => `${field}: ${description}`).join("; "), {
      violations,
    });
  }
}

/** Thrown when the model's answer does not fit the signature. */
export class OutputInvalid extends Fault {
  constructor(violations: readonly Violation[]) {
    super(
      "OUTPUT_INVALID",
      `the model's answer does not fit the signature: ${violations.map((v) => `${v.field}: ${v.description}`).join("; ")}`,
      { violations },
    );
  }
}

/** Thrown when the Python process that runs DSPy can't be reached. */
export class SidecarUnavailable extends Fault {
  constructor(message = "the DSPy sidecar is away; it is being restarted", cause?: unknown) {
    super("SIDECAR_UNAVAILABLE", message, { cause });
  }
}

/** Thrown when PostgreSQL can't be reached. */
export class StoreUnavailable extends Fault {
  constructor(cause?: unknown) {
    super("STORE_UNAVAILABLE", "the database can't be reached", { cause });
  }
}

/** Thrown when the process that ran it died. */
export class Interrupted extends Fault {
  constructor() {
    super("INTERRUPTED", "the process that ran it died");
  }
}

/** Thrown when whatever does it dies again and again. */
export class AttemptsExhausted extends Fault {
  constructor(attempts: number) {
    super(
      "ATTEMPTS_EXHAUSTED",
      `${attempts} attempts died under it; see the logs of the gateway and the sidecar`,
    );
  }
}

/** Thrown when this process ends a call that would have gone on. */
export class Stopping extends Fault {
  constructor() {
    super("INTERRUPTED", "this gateway is stopping; go on with the last resume_token, on any gateway");
  }
}

/** Thrown when no further call of a kind can be taken. */
export class Overloaded extends Fault {
  constructor(message: string, retryAfterMs: number) {
    super("OVERLOADED", message, { retryAfterMs });
  }
}

/** Thrown when the caller's time ran out. */
export class DeadlineExceeded extends Fault {
  constructor(message = "the deadline ran out before the answer was there") {
    super("DEADLINE_EXCEEDED", message);
  }
}

/** Thrown when the caller went away, or somebody cancelled the run. */
export class Cancelled extends Fault {
  constructor(message = "the run was cancelled") {
    super("CANCELLED", message);
  }
}

/** Thrown when a value is larger than it may be. */
export class TooLarge extends Fault {
  constructor(message: string) {
    super("TOO_LARGE", message);
  }
}
