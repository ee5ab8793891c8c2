/** The limits of the port that the operator sets. */
export type PortLimits = Readonly<{
  /** Maximum number of open connections. */
  maxConnections: number;
  /** Calls that one HTTP/2 connection may cancel each second; ten times as many at once. */
  maxCancels: number;
  /** Maximum bytes of all answers that callers have not read yet; one connection gets half. */
  answerMemory: number;
}>;

/** Maximum size of a message in bytes, compressed or not. */
export const maxMessageBytes = 4 * 2 ** 20;
/** Maximum size of the headers of a request, in bytes. */
export const maxHeaderBytes = 32_768;
/** Maximum number of headers of a request. */
export const maxHeaders = 128;
/** Maximum number of open calls on one HTTP/2 connection. */
export const maxStreams = 1_000;
