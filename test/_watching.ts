import {
  ExecutionStatus,
  type ExecutionView,
  type WatchExecutionsResponse,
} from "../src/gen/sigrun/v1/execution_service_pb.ts";
import type { Gateway, Teardown, TwoGateways } from "./_gateway.ts";
import { until } from "./_wait.ts";

const statuses = Object.fromEntries(Object.entries(ExecutionStatus).map(([name, value]) => [value, name]));
type Asked = { filter?: string; resumeToken?: string; view?: ExecutionView };

/** Watches until the test ends; resolves once the watch has its first event. */
export async function watch(t: Teardown, { executions }: Gateway, asked: Asked = {}) {
  const leave = new AbortController();
  t.teardown(() => leave.abort());
  const events: WatchExecutionsResponse[] = [];
  const ended = (async () => {
    for await (const event of executions.watchExecutions(asked, { signal: leave.signal })) events.push(event);
  })();
  let isOver = false;
  ended
    .catch(() => {})
    .finally(() => {
      isOver = true;
    });
  await until(() => events.length > 0 || isOver);
  if (events.length === 0) await ended;
  /** The changes seen so far, without heartbeats. */
  const seen = () =>
    events.flatMap(({ event }) =>
      event.case === "execution"
        ? [`${event.value.id} ${statuses[event.value.status]}`]
        : event.case === "deletedId"
          ? [`${event.value} deleted`]
          : [],
    );
  return { events, seen, ended, leave: () => leave.abort() };
}

/** A program for one test, so that the executions of other tests do not match its filter. */
export async function createProgram(
  { one }: Pick<TwoGateways, "one">,
  name: string,
): Promise<{ programId: string; filter: string }> {
  const { program } = await one.programs.createProgram({
    program: { name, signature: { text: "question -> answer" } },
  });
  return { programId: program?.id ?? "", filter: `program_id = ${program?.id}` };
}

export async function begin({ executions }: Gateway, programId: string, question = "?"): Promise<string> {
  const { execution } = await executions.startExecution({ programId, inputs: { question } });
  return execution?.id ?? "";
}
export const complete = ({ executions }: Gateway, id: string, answer = "!") =>
  executions.completeExecution({ id, outputs: { answer } });
