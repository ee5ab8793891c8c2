import type { DescMethod } from "@bufbuild/protobuf";
import {
  type ContextValues,
  createContextKey,
  createContextValues,
  type Interceptor,
} from "@connectrpc/connect";
import { timeoutOf } from "./caller-timeout.ts";
import type { OpenCall, OpenCalls } from "./open-calls.ts";
import { createOverdue, type Overdue } from "./overdue.ts";
import type { NodeHandler } from "./port.ts";

type NodeRequest = Parameters<NodeHandler>[0];
type NodeResponse = Parameters<NodeHandler>[1];

/** A call that Connect answers, with Node's own request: Connect's view of it can't be drained. */
export type ConnectCall = {
  readonly body: NodeRequest;
  readonly response: NodeResponse;
  readonly open: OpenCall;
  readonly overdue: Overdue;
};

/** The calls that Connect answers. Each ends at its deadline, whatever is silent. */
export type ConnectCalls = {
  /** Opens the call of a request whose headers have arrived. */
  open(method: DescMethod, request: NodeRequest, response: NodeResponse): void;
  /** Hands the open call to the handler and the interceptor. */
  contextValues(request: NodeRequest): ContextValues;
  /** Gives every method the signal of its call, and ends an overdue stream. */
  readonly interceptor: Interceptor;
};

const openCall = createContextKey<ConnectCall | undefined>(undefined);

/** The call of a request. */
export function callOf(values: ContextValues | undefined): ConnectCall {
  const call = values?.get(openCall);
  if (!call) throw new Error("a request whose call was not opened");
  return call;
}

export function createConnectCalls(calls: OpenCalls): ConnectCalls {
  const opened = new WeakMap<NodeRequest, ConnectCall>();

  return {
    open(method, request, response) {
      const overdue = createOverdue();
      const open = calls.open({
        owner: response,
        method,
        timeoutMs: timeoutOf(request),
        onOverdue: overdue.set,
      });
      response.once("close", open.leave);
      opened.set(request, { body: request, response, open, overdue });
    },

    contextValues: (request) => createContextValues().set(openCall, opened.get(request)),

    interceptor: (next) => async (request) => {
      const { open, overdue } = callOf(request.contextValues);
      const response = next({ ...request, signal: open.signal });
      if (!request.stream) return response;
      const begun = await overdue.unless(response);
      return begun.stream ? { ...begun, message: overdue.unlessStream(begun.message) } : begun;
    },
  };
}
