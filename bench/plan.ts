/** One combination: demos of the program, delay of the model, callers at a time. */
export type Cell = { readonly demos: number; readonly delayMs: number; readonly callers: number };

/** Plan of one run of the bench. */
export type Plan = {
  readonly minutes: number;
  readonly cells: readonly Cell[];
  readonly rounds: number;
  readonly seconds: number;
  /** Seconds of warm-up after a contender's start: V8 compiles code that has run often. */
  readonly firstSeconds: number;
  /** Seconds of warm-up before each cell. */
  readonly warmUpSeconds: number;
  /** Whether a call of a contender is measured. */
  readonly isWanted: (label: string) => boolean;
};

const cell = (demos: number, delayMs: number, callers: number): Cell => ({ demos, delayMs, callers });

/** Every contender in every cell. */
const whole: Plan = {
  minutes: 40,
  cells: [0, 16].flatMap((demos) =>
    [50, 0].flatMap((delayMs) => [64, 256, 1].map((callers) => cell(demos, delayMs, callers))),
  ),
  rounds: 3,
  seconds: 3,
  firstSeconds: 6,
  warmUpSeconds: 1.5,
  isWanted: () => true,
};

/** The cells of the goals, with the kinds of FastAPI that are best in one of them. */
const quick: Plan = {
  minutes: 3,
  cells: [cell(0, 50, 64), cell(0, 50, 1), cell(0, 0, 64), cell(16, 50, 64)],
  rounds: 2,
  seconds: 1.8,
  firstSeconds: 1,
  warmUpSeconds: 0.6,
  isWanted: (label) =>
    [
      "the model alone",
      "FastAPI asyncify, 1 worker",
      "FastAPI acall, 1 worker",
      "FastAPI acall, 2 workers",
      "sigrun, gRPC",
    ].includes(label),
};

/** Reads the command line: --quick, and --only with names of families, separated by commas. */
export function readPlan(args: readonly string[]): { plan: Plan; isChosen: (family: string) => boolean } {
  const plan = args.includes("--quick") ? quick : whole;
  const only = args[args.indexOf("--only") + 1]?.split(",");
  return { plan, isChosen: (family) => !args.includes("--only") || (only ?? []).includes(family) };
}
