/**
 * All reasons of errors, named as in sigrun.v1.ErrorReason. rpc/faults.ts maps each to a status
 * code.
 */
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
  | "OUTPUT_TRUNCATED"
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

/** A wrong value: its path, a description for people and a reason for programs. */
export type Violation = { field: string; description: string; reason: string };

export type FaultDetails = {
  violations?: readonly Violation[];
  /** Further facts for the caller, such as the execution's id. */
  metadata?: Readonly<Record<string, string>>;
  retryAfterMs?: number;
  /** Never shown to callers. */
  cause?: unknown;
};

/**
 * Base of all faults: a reason for programs and a message for people. Neither holds a secret, a
 * stack or a prompt.
 */
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

/** Thrown when values of a request are wrong; each violation has its path. */
export class Invalid extends Fault {
  constructor(reason: InvalidReason, violations: readonly Violation[]) {
    super(reason, violations.map(({ field, description }) => `${field}: ${description}`).join("; "), {
      violations,
    });
  }

  /** For a single wrong value. createViolations collects several. */
  static at(reason: InvalidReason, field: string, description: string, violationReason: string): Invalid {
    return new Invalid(reason, [{ field, description, reason: violationReason }]);
  }
}

/** Thrown when nothing has the id or name that a caller sent. */
export class NotFound extends Fault {
  constructor(noun: string, key: string) {
    super("NOT_FOUND", `no ${noun} ${JSON.stringify(key)}`);
  }
}

/** Thrown when a name is taken by something with other content. */
export class AlreadyExists extends Fault {
  constructor(message: string) {
    super("ALREADY_EXISTS", message);
  }
}

/** Thrown when a request_id is repeated with another request. */
export class RequestIdReused extends Fault {
  constructor(requestId: string) {
    super("REQUEST_ID_REUSED", `request_id ${JSON.stringify(requestId)} belongs to another request`);
  }
}

/** Thrown when the status of a program, execution or optimization does not allow the call. */
export class StatusConflict extends Fault {
  constructor(message: string) {
    super("STATUS_CONFLICT", message);
  }
}

/** Thrown when something can't be deleted since something else uses it. */
export class InUse extends Fault {
  constructor(message: string) {
    super("IN_USE", message);
  }
}

/** Thrown when an etag is out of date. */
export class EtagMismatch extends Fault {
  constructor(noun: string, id: string) {
    super("ETAG_MISMATCH", `${noun} ${JSON.stringify(id)} has changed since this etag; read it again`);
  }
}

/** Thrown when this version does not support a call. */
export class Unsupported extends Fault {
  constructor(what: string) {
    super("UNSUPPORTED", `${what} is not supported by this version`);
  }
}

/** Thrown when a program needs a feature that the operator has not enabled. */
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

/** Thrown when the process of a run died. */
export class Interrupted extends Fault {
  constructor() {
    super("INTERRUPTED", "the process that ran it died");
  }
}

/** Thrown when the maximum number of attempts have died. */
export class AttemptsExhausted extends Fault {
  constructor(attempts: number) {
    super(
      "ATTEMPTS_EXHAUSTED",
      `${attempts} attempts died under it; see the logs of the gateway and the sidecar`,
    );
  }
}

/** Thrown to end open calls and runs when this gateway stops. */
export class Stopping extends Fault {
  constructor() {
    super(
      "INTERRUPTED",
      "this gateway is stopping; call again on any gateway, a watch with its last resume_token",
    );
  }
}

/** Thrown when a gateway can't accept more calls of a kind. */
export class Overloaded extends Fault {
  constructor(message: string, retryAfterMs: number) {
    super("OVERLOADED", message, { retryAfterMs });
  }
}

/** Thrown when the caller's deadline is exceeded. */
export class DeadlineExceeded extends Fault {
  constructor(message = "the deadline ran out before the answer was there") {
    super("DEADLINE_EXCEEDED", message);
  }
}

/** Thrown when the caller disconnects, or the run is cancelled. */
export class Cancelled extends Fault {
  constructor(message = "the run was cancelled") {
    super("CANCELLED", message);
  }
}

/** Thrown when a value exceeds a maximum size. */
export class TooLarge extends Fault {
  constructor(message: string) {
    super("TOO_LARGE", message);
  }
}
